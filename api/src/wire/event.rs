//! An event of a job as the API shows it, in streams and in pages.

use chrono::{DateTime, Utc};
use domain::{Cost, Failure, JobId, StageKey, StageKind, TokenUsage};
use jobs::{EndedJob, Job, JobEvent, LiveEvent, LiveNews, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{JobBody, Problem, ResultBody, Timestamp, UsageBody};
use crate::openapi::{EventName, LiveEventName};

/// An event of a job's log. The same event is the same bytes whenever, wherever and in whichever form it is read: it is
/// made from what was stored with it and from what never changes of its job.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventBody {
    /// What happened.
    #[serde(rename = "type")]
    #[schema(value_type = EventName)]
    pub kind: &'static str,
    /// The job.
    pub job_id: JobId,
    /// Its place among the job's events: 1, 2, 3, …
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The attempt that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub attempt: Option<u32>,
    /// How many workers were lost on the job before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub rescues: Option<u32>,
    /// The worker that has the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub worker: Option<String>,
    /// The stage, as the job names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub stage: Option<String>,
    /// The stage that a run begins again with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub from_stage: Option<String>,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub duration_ms: Option<u64>,
    /// Why the model stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub stop_reason: Option<String>,
    /// What it used of the model and what that cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub usage: Option<UsageBody>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<Problem>,
    /// When the next attempt may begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_attempt_at: Option<Timestamp>,
    /// The job as it ended: what `GET /jobs/{id}` said then, without the diff.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<JobBody>, nullable = false)]
    pub job: Option<Value>,
}

/// What is stored with an event. Each kind has some of these.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stored {
    attempt: Option<u32>,
    rescues: Option<u32>,
    worker: Option<String>,
    stage: Option<StageKind>,
    item: String,
    from_stage: Option<String>,
    duration_ms: Option<u64>,
    stop_reason: Option<String>,
    usage: Option<TokenUsage>,
    cost_nanos: Cost,
    failure: Option<Failure>,
    next_attempt_at: Option<DateTime<Utc>>,
    job: Option<EndedJob>,
}

impl EventBody {
    /// An event of this job, whatever became of the job since.
    pub fn new(job: &Job, event: &JobEvent) -> Result<Self, StoreError> {
        let stored = Stored::deserialize(&event.data)
            .map_err(|source| StoreError::Damaged { what: "event", source: source.into() })?;
        let problem = |failure: Failure| Problem::of_attempt(job.id, &failure, stored.attempt.unwrap_or_default());
        Ok(Self {
            kind: event.kind.as_str(),
            job_id: job.id,
            seq: event.seq,
            at: event.at.into(),
            attempt: stored.attempt,
            rescues: stored.rescues,
            worker: stored.worker,
            stage: stored.stage.map(|kind| StageKey { kind, item: stored.item }.to_string()),
            from_stage: stored.from_stage,
            duration_ms: stored.duration_ms,
            stop_reason: stored.stop_reason,
            usage: stored.usage.map(|usage| UsageBody::new(usage, stored.cost_nanos)),
            error: stored.failure.map(problem),
            next_attempt_at: stored.next_attempt_at.map(Timestamp),
            job: stored.job.map(|ended| ended_job(ended, job)),
        })
    }
}

fn ended_job(ended: EndedJob, now: &Job) -> Value {
    let (job, stages) = ended.of(now);
    let result = job.result.as_ref().map(|result| ResultBody::from_result(result, b""));
    let mut body = serde_json::to_value(JobBody::new(&job, &stages, result)).expect("a body has string keys");
    if let Some(result) = body["result"].as_object_mut() {
        result.shift_remove("diff");
    }
    body
}

/// What is told of a running job while it is watched: without a number, and told once.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LiveEventBody {
    /// What is told.
    #[serde(rename = "type")]
    #[schema(value_type = LiveEventName)]
    pub kind: &'static str,
    /// The job.
    pub job_id: JobId,
    /// When, by the worker's clock.
    pub at: Timestamp,
    /// The stage, as the job names it.
    pub stage: String,
    /// The particulars.
    #[serde(flatten)]
    pub news: LiveNewsBody,
}

/// What is told of a running job.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum LiveNewsBody {
    /// How far the stage is in this attempt.
    Progress {
        /// Its calls to the model that are over.
        calls: u64,
        /// Characters (Unicode code points) of the model's visible answers.
        characters: u64,
        /// What the calls used and cost.
        usage: UsageBody,
    },
    /// The model's visible answer grew.
    Delta {
        /// Characters (Unicode code points) of the stage's text before this piece, in this attempt.
        offset: u64,
        /// The new piece.
        text: String,
    },
}

impl LiveEventBody {
    /// What is told of this job.
    pub fn new(job_id: JobId, live: &LiveEvent) -> Self {
        let (kind, news) = match &live.news {
            LiveNews::Progress { calls, characters, usage, cost } => {
                let usage = UsageBody::new(*usage, *cost);
                ("stage.progress", LiveNewsBody::Progress { calls: *calls, characters: *characters, usage })
            }
            LiveNews::Text { offset, text } => {
                ("stage.delta", LiveNewsBody::Delta { offset: *offset, text: text.clone() })
            }
        };
        Self { kind, job_id, at: live.at.into(), stage: live.stage.to_string(), news }
    }
}

/// The `data` of one message of a stream; the message's `event` is the same as its `type`.
///
/// What is in the job's log has an `id`, which is its `seq`; what is told of a running job has none, and is told once.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum StreamedEvent {
    /// Something in the job's log.
    Logged(Box<EventBody>),
    /// Something that is told of a running job.
    Live(Box<LiveEventBody>),
}

/// Some events of a job, in order.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// The events.
    pub data: Vec<EventBody>,
    /// The number after which the next page begins: the last event's, or what was asked for when there is none.
    pub next_after: u64,
}
