//! A job as the API shows it.

use std::collections::BTreeMap;

use chrono::Utc;
use domain::{Effort, JobId, JobStatus, PathPattern, Priority};
use jobs::{Job, StageSummary};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Problem, ResultBody, StageBody, Timestamp, UsageBody};
use crate::openapi::StrategyName;

/// The strategy of a job that did not ask for one: its size decides.
pub(crate) const AUTO: &str = "auto";

/// The first and the longest wait between two looks at a job, in seconds.
const POLL_SECONDS: (i64, i64) = (2, 15);

/// What is known of a job as soon as it is accepted.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobReceipt {
    /// The job's id: a UUID v7.
    pub id: JobId,
    /// Where it stands.
    pub status: JobStatus,
    /// Where the repository is, as tinygen reads it.
    pub repo_url: String,
    /// What was asked.
    pub prompt: String,
    /// What the client put on it.
    pub metadata: BTreeMap<String, String>,
    /// When the job was accepted.
    pub created_at: Timestamp,
    /// The trace of the request, as 32 hexadecimal digits; absent while traces are off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub trace_id: Option<String>,
    /// Where to go from here.
    pub links: JobLinks,
}

/// The addresses of a job, as paths on this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobLinks {
    /// The job.
    #[serde(rename = "self")]
    pub own: String,
    /// What happens to it.
    pub events: String,
    /// Its diff.
    pub diff: String,
    /// Where to ask for its end.
    pub cancel: String,
    /// Where to ask for another run, once it has ended.
    pub retry: String,
}

/// A job: what was asked, where it stands, what it did, what came out.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobBody {
    /// The job's id: a UUID v7.
    pub id: JobId,
    /// Where it stands. A job that waits for another try is `queued` with an `attempt` above 0.
    pub status: JobStatus,
    /// The latest attempt; 0 before the first.
    pub attempt: u32,
    /// The last attempt there may be.
    pub max_attempts: u32,
    /// Grows with every change of the job.
    pub version: u64,
    /// Where the repository is, as tinygen reads it.
    pub repo_url: String,
    /// Branch, tag or commit that was asked for.
    #[serde(rename = "ref")]
    #[schema(required)]
    pub git_ref: Option<String>,
    /// What was asked.
    pub prompt: String,
    /// Model that was asked for.
    #[schema(required)]
    pub model: Option<String>,
    /// Effort that was asked for.
    #[schema(required)]
    pub effort: Option<Effort>,
    /// Strategy that was asked for, or `auto`.
    #[schema(value_type = StrategyName)]
    pub strategy: &'static str,
    /// The most the job may cost, in US dollars.
    #[schema(required)]
    pub max_cost_usd: Option<f64>,
    /// How urgent it is among its owner's jobs.
    pub priority: Priority,
    /// How long workers may work on it, over all its attempts.
    pub timeout_seconds: u32,
    /// The files that may be shown and changed; all of them when empty.
    #[schema(value_type = Vec<String>)]
    pub paths: Vec<PathPattern>,
    /// The files among them that may not.
    #[schema(value_type = Vec<String>)]
    pub exclude_paths: Vec<PathPattern>,
    /// What the client put on it.
    pub metadata: BTreeMap<String, String>,
    /// What was done so far, in order; absent in a list of jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub stages: Option<Vec<StageBody>>,
    /// What came out; only of a job that succeeded.
    #[schema(required)]
    pub result: Option<ResultBody>,
    /// Why it failed, or, while it waits for its next attempt, why the last one did.
    #[schema(required)]
    pub error: Option<Problem>,
    /// What all calls to the model used and cost so far.
    pub usage: UsageBody,
    /// When the next attempt may begin.
    #[schema(required)]
    pub next_attempt_at: Option<Timestamp>,
    /// When somebody asked to cancel.
    #[schema(required)]
    pub cancel_requested_at: Option<Timestamp>,
    /// When the job was accepted.
    pub created_at: Timestamp,
    /// When its first attempt began.
    #[schema(required)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(required)]
    pub finished_at: Option<Timestamp>,
    /// When everything it was about will be deleted; absent until it has ended, and where nothing is.
    #[schema(required)]
    pub expires_at: Option<Timestamp>,
    /// The trace of the request that asked for it, or last for another run, as 32 hexadecimal digits; absent while traces
    /// are off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub trace_id: Option<String>,
    /// Where to go from here.
    pub links: JobLinks,
}

impl JobReceipt {
    /// What is known of any job.
    pub fn new(job: &Job) -> Self {
        Self {
            id: job.id,
            status: job.status,
            repo_url: job.spec.repo_url.to_string(),
            prompt: job.spec.prompt.clone(),
            metadata: job.spec.metadata.clone(),
            created_at: job.created_at.into(),
            trace_id: trace_id(job),
            links: JobLinks::new(job.id),
        }
    }
}

impl JobLinks {
    /// The addresses of a job.
    pub fn new(id: JobId) -> Self {
        let below = |name: &str| format!("/jobs/{id}/{name}");
        Self {
            own: format!("/jobs/{id}"),
            events: below("events"),
            diff: below("diff"),
            cancel: below("cancel"),
            retry: below("retry"),
        }
    }
}

impl JobBody {
    /// A job with its stages and, if it succeeded, its result.
    pub fn new(job: &Job, stages: &[StageSummary], result: Option<ResultBody>) -> Self {
        let stages = stages.iter().map(|stage| StageBody::new(job, stage)).collect();
        Self { stages: Some(stages), result, ..Self::in_list(job) }
    }

    /// A job without its stages and without its diff.
    pub fn in_list(job: &Job) -> Self {
        let spec = &job.spec;
        Self {
            id: job.id,
            status: job.status,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            version: job.version,
            repo_url: spec.repo_url.to_string(),
            git_ref: spec.git_ref.as_ref().map(ToString::to_string),
            prompt: spec.prompt.clone(),
            model: spec.model.clone(),
            effort: spec.effort,
            strategy: spec.strategy.map_or(AUTO, |strategy| strategy.as_str()),
            max_cost_usd: spec.max_cost.map(domain::Cost::as_usd),
            priority: spec.priority,
            timeout_seconds: spec.timeout_seconds,
            paths: spec.paths.clone(),
            exclude_paths: spec.exclude_paths.clone(),
            metadata: spec.metadata.clone(),
            stages: None,
            result: job.result.as_ref().map(ResultBody::without_diff),
            error: Problem::of_job(job),
            usage: UsageBody::new(job.usage, job.cost),
            next_attempt_at: job.next_attempt_at.map(Timestamp),
            cancel_requested_at: job.cancel_requested_at.map(Timestamp),
            created_at: job.created_at.into(),
            started_at: job.started_at.map(Timestamp),
            finished_at: job.finished_at.map(Timestamp),
            expires_at: job.expires_at.map(Timestamp),
            trace_id: trace_id(job),
            links: JobLinks::new(job.id),
        }
    }
}

fn trace_id(job: &Job) -> Option<String> {
    job.trace_context.as_deref().and_then(trace_context::trace_id)
}

/// How long to wait before the next look, in seconds: a tenth of the job's age.
pub(crate) fn poll_after_seconds(job: &Job) -> i64 {
    let (first, longest) = POLL_SECONDS;
    ((Utc::now() - job.created_at).num_seconds() / 10).clamp(first, longest)
}
