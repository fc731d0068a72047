//! What a job looks like from outside.

use chrono::{DateTime, Utc};
use domain::{Cost, Failure, JobId, JobResult, JobSpec, JobStatus, RepoUrl, StageKey, TokenUsage};
use serde::{Deserialize, Serialize};

use crate::quota::Quota;
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
    /// How much the owner may ask for; absent: as much as they like.
    pub quota: Option<Quota>,
}

/// A job of nobody in particular.
impl From<JobSpec> for NewJob {
    fn from(spec: JobSpec) -> Self {
        Self { spec, owner: None, webhook: None, trace_context: None, quota: None }
    }
}

/// What a client calls a request, so that sending it twice makes one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's own name for the request; names of different owners have nothing to do with each other.
    pub key: String,
    /// SHA-256 of what was asked, in hexadecimal: the same name for another request is a mistake.
    pub body_sha256: String,
}

/// What became of a request that has a name.
#[derive(Debug, Clone, PartialEq)]
pub enum Submission {
    /// It is a new job.
    Accepted(Job),
    /// It made this job before.
    Replayed(Job),
    /// Its name belongs to another request.
    KeyReused,
}

/// Why an attempt failed that is followed by another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptFailure {
    /// Which attempt.
    pub attempt: u32,
    /// Why.
    pub failure: Failure,
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
    /// Workers lost on it in a row: times another one took it over, since it last waited.
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
    /// When everything it was about is forgotten; absent until it has ended, and where nothing is.
    pub expires_at: Option<DateTime<Utc>>,
    /// When its end was asked for.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// What it made; the diff is left empty here, [`Jobs::diff`](crate::Jobs::diff) has it.
    pub result: Option<JobResult>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Why its last attempt failed; only while it waits for the next one.
    pub last_failure: Option<AttemptFailure>,
    /// The stage that was begun last and is not finished.
    pub open_stage: Option<StageKey>,
    /// The tokens of all its settled calls.
    pub usage: TokenUsage,
    /// The cost of all its settled calls.
    pub cost: Cost,
    /// The trace of the request that asked for it, or last for another run, as W3C `traceparent`.
    pub trace_context: Option<String>,
}

/// One stage of a job, without its output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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

/// How a finished job is to be run again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Retry<'a> {
    /// The first stage to be done anew; the first one that is not finished when absent.
    pub from: Option<&'a StageKey>,
    /// How much the job's owner may ask for; absent: as much as they like. The job is not counted as a new one.
    pub quota: Option<&'a Quota>,
    /// The trace of the request, as W3C `traceparent`: the next attempt goes on with it.
    pub trace_context: Option<&'a str>,
    /// The client's name for the request: sent again under the name of the job's last retry, it runs the job no second time,
    /// even if it has ended since.
    pub idempotency: Option<&'a Idempotency>,
}

/// From this stage on, without conditions.
impl<'a> From<Option<&'a StageKey>> for Retry<'a> {
    fn from(from: Option<&'a StageKey>) -> Self {
        Self { from, ..Self::default() }
    }
}

/// What became of a request to run a finished job again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retrial {
    /// The job waits for a worker.
    Queued,
    /// The job is open because of such a request already.
    AlreadyRetried,
    /// This very request was served before.
    Replayed,
    /// The request's name is that of another request before.
    KeyReused,
    /// The job has not ended yet, and no such request opened it.
    NotOver(JobStatus),
    /// There is no such job.
    NotFound,
}

/// What became of a request to forget a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// Everything it was about is gone; it was ended first when it had not ended.
    Purged,
    /// That had been done before.
    AlreadyPurged,
    /// There is no such job.
    NotFound,
}

/// Which jobs to list, newest first. The default is the newest ones of everybody.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobQuery {
    /// Whose; everybody's when absent.
    pub owner: Option<String>,
    /// In one of these states; in any when empty.
    pub statuses: Vec<JobStatus>,
    /// About this repository.
    pub repo_url: Option<RepoUrl>,
    /// Accepted later than this.
    pub created_after: Option<DateTime<Utc>>,
    /// Accepted earlier than this.
    pub created_before: Option<DateTime<Utc>>,
    /// With all of these pairs of metadata.
    pub metadata: Vec<(String, String)>,
    /// What follows this place.
    pub after: Option<JobPlace>,
    /// How many at most.
    pub limit: u32,
}

/// A job's place in the list of all. New jobs come before it and move nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobPlace {
    /// When the job was accepted.
    pub created_at: DateTime<Utc>,
    /// Which job.
    pub id: JobId,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Where the next part begins, if there is one.
    pub next: Option<JobPlace>,
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
    /// Jobs forgotten because they had ended so long ago.
    pub purged: usize,
}
