//! What a job looks like from outside.

use chrono::{DateTime, Utc};
use domain::{Cost, Failure, JobId, JobResult, JobSpec, JobStatus, StageKey, TokenUsage};

use crate::webhook::JobWebhook;

/// What is needed to accept a job.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// What is asked.
    pub spec: JobSpec,
    /// Who asks. Owners take turns; all jobs without one are one owner's.
    pub owner: Option<String>,
    /// Who is told of this job alone.
    pub webhook: Option<JobWebhook>,
    /// The trace of the request, as W3C `traceparent`: the job's first attempt goes on with it.
    pub trace_context: Option<String>,
}

/// A job of nobody in particular.
impl From<JobSpec> for NewJob {
    fn from(spec: JobSpec) -> Self {
        Self { spec, owner: None, webhook: None, trace_context: None }
    }
}

/// One request, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// What was asked.
    pub spec: JobSpec,
    /// Where it stands.
    pub status: JobStatus,
    /// Tries so far, the running one included.
    pub attempt: u32,
    /// Tries it may have.
    pub max_attempts: u32,
    /// Times another worker took it over because one was lost.
    pub rescues: u32,
    /// The number of its last event: grows with every change.
    pub version: u64,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When its first attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When its next attempt is due; absent unless it waits between two.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When its end was asked for.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// What it made; the diff is left empty here, [`Jobs::diff`](crate::Jobs::diff) has it.
    pub result: Option<JobResult>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The tokens of all its settled calls.
    pub usage: TokenUsage,
    /// The cost of all its settled calls.
    pub cost: Cost,
    /// The trace of the request that asked for it, or last for another run, as W3C `traceparent`.
    pub trace_context: Option<String>,
}

/// One stage of a job, without its output.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSummary {
    /// Which stage.
    pub key: StageKey,
    /// When its work began, in the latest attempt that worked on it.
    pub started_at: DateTime<Utc>,
    /// When it was done and stored.
    pub finished_at: Option<DateTime<Utc>>,
    /// Size of its stored output, in bytes of JSON.
    pub output_bytes: Option<u64>,
    /// The tokens of its settled calls.
    pub usage: TokenUsage,
    /// The cost of its settled calls.
    pub cost: Cost,
    /// Its calls to the model, settled or not.
    pub calls: u64,
}

/// What became of a request to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// The job waited for a worker and is canceled now.
    Canceled,
    /// A worker has the job and will stop.
    Requested,
    /// The job had ended before.
    AlreadyOver(JobStatus),
    /// There is no such job.
    NotFound,
}

/// What became of a request to run a finished job again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retrial {
    /// The job waits for a worker.
    Queued,
    /// The job is open because of such a request already.
    AlreadyRetried,
    /// The job has not ended yet.
    NotOver(JobStatus),
    /// There is no such job.
    NotFound,
}

/// What a sweep found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs that wait for a worker: due now, or left by a lost worker.
    pub due: usize,
    /// Jobs given up because they took too many workers down.
    pub poisoned: usize,
    /// Jobs whose worker was lost before it could confirm the cancellation.
    pub canceled: usize,
}
