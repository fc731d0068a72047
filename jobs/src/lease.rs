//! The right to work on a job until a time.

use std::fmt;
use std::time::Duration;

use domain::{JobId, JobSpec};

/// What a worker calls itself: for people who look for it in logs. Nothing depends on it being unique.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkerId(String);

impl WorkerId {
    /// A worker of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The right to work on one job. A later claim of the same job has a higher epoch and ends this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    pub(crate) job_id: JobId,
    pub(crate) epoch: i64,
}

impl Lease {
    /// The job.
    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Grows with every claim of the job, from 1.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }
}

/// A job that a worker may work on now.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The job.
    pub id: JobId,
    /// What was asked.
    pub spec: JobSpec,
    /// Names the claim in everything the worker writes.
    pub lease: Lease,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// How many workers were lost on the job before.
    pub rescues: u32,
    /// How long it may still be worked on.
    pub time_left: Duration,
    /// The trace of the request that asked for it, or last for another run, as W3C `traceparent`.
    pub trace_context: Option<String>,
    /// The trace of the attempt before, since that request.
    pub last_attempt_trace_context: Option<String>,
}

/// What a worker learns about its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heartbeat {
    /// Go on.
    Held,
    /// Go on, but the lease was not renewed: something else holds the job's row at this moment. Beat again soon.
    Delayed,
    /// Somebody asked for the end of the job: stop, then [`confirm_cancel`](crate::Jobs::confirm_cancel).
    CancelRequested,
    /// Another worker holds the job, or it is over: stop and write nothing.
    Lost,
}

/// What a requeued job came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeued {
    /// It waits for another attempt.
    Retrying,
    /// It has no attempt, or no time to wait, left: it failed.
    Failed,
    /// Its end had been asked for meanwhile: it is canceled.
    Canceled,
}

/// How long a lease lasts, how often a job is tried, and how many may wait.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// From a claim or a heartbeat to the time at which another worker may take over.
    pub lease: Duration,
    /// Attempts of a job submitted from now on that does not say.
    pub max_attempts: u32,
    /// Workers lost on one job until it is given up as poisoned.
    pub max_lost_workers: u32,
    /// Waiting time after which a job of a lower priority is as urgent as a new one of the next higher.
    pub ageing: Duration,
    /// From a job's submission, or its last retry, to the time beyond which it does not wait for a rate limit.
    pub max_postponement: Duration,
    /// Jobs of all owners that may wait for a worker at the same time.
    pub max_waiting_jobs: u64,
    /// From the end of a job to the time when everything it was about is forgotten; absent: never.
    pub retention: Option<Duration>,
    /// From then to the time when its id is forgotten too.
    pub tombstone: Duration,
    /// From a job's submission to the time when the name of its request may be given to another one.
    pub idempotency: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            max_attempts: 3,
            max_lost_workers: 3,
            ageing: Duration::from_mins(10),
            max_postponement: Duration::from_hours(24),
            max_waiting_jobs: 100_000,
            retention: Some(Duration::from_hours(30 * 24)),
            tombstone: Duration::from_hours(90 * 24),
            idempotency: Duration::from_hours(24),
        }
    }
}
