//! How a job stood when it ended.

use chrono::{DateTime, Utc};
use domain::{Cost, Failure, JobResult, JobStatus, StageKey, TokenUsage};
use serde::{Deserialize, Serialize};

use crate::job::{Job, StageSummary};

/// How a job stood when it ended: stored in its last event, because a job that is run again changes, and what was told of
/// it does not. What was asked is not in it: that never changes, and is in the row alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedJob {
    pub(crate) status: JobStatus,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) rescues: u32,
    pub(crate) version: u64,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    pub(crate) cancel_requested_at: Option<DateTime<Utc>>,
    pub(crate) result: Option<JobResult>,
    pub(crate) failure: Option<Failure>,
    pub(crate) usage: TokenUsage,
    pub(crate) cost: Cost,
    pub(crate) stages: Vec<StageSummary>,
}

impl EndedJob {
    /// The job as it stood then, made from the job as it stands now.
    pub fn of(self, job: &Job) -> (Job, Vec<StageSummary>) {
        let then = Job {
            status: self.status,
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            rescues: self.rescues,
            version: self.version,
            started_at: self.started_at,
            finished_at: self.finished_at,
            cancel_requested_at: self.cancel_requested_at,
            result: self.result,
            failure: self.failure,
            usage: self.usage,
            cost: self.cost,
            next_attempt_at: None,
            // Whatever else changes after the end, or depends on how this server is configured, was no part of it.
            expires_at: None,
            last_failure: None,
            open_stage: open_stage(&self.stages),
            trace_context: None,
            ..job.clone()
        };
        (then, self.stages)
    }
}

/// The stage that was begun last and not finished.
fn open_stage(stages: &[StageSummary]) -> Option<StageKey> {
    let open = stages.iter().filter(|stage| stage.finished_at.is_none());
    open.max_by_key(|stage| stage.started_at).map(|stage| stage.key.clone())
}
