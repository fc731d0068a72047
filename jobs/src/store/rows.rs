//! From columns to the nouns.

use chrono::{DateTime, Utc};
use domain::{Cost, JobId, StageKey, TokenUsage};
use serde::de::DeserializeOwned;
use sqlx::FromRow;
use uuid::Uuid;

use super::{after, to_count, to_small_count};
use crate::error::StoreError;
use crate::job::{Job, StageSummary};
use crate::lease::Policy;

/// The columns of a [`JobRow`].
macro_rules! job_columns {
    () => {
        "id, spec, status, attempt, max_attempts, rescues, version, created_at, started_at, finished_at,
         next_attempt_at, cancel_requested_at, result, failure, last_failure, purged_at, trace_context,
         input_tokens,
         cache_creation_tokens, cache_read_tokens, output_tokens, cost_nanos,
         (SELECT kind || ':' || item FROM stages WHERE job_id = jobs.id AND output IS NULL
          ORDER BY started_at DESC LIMIT 1) AS open_stage"
    };
}
pub(super) use job_columns;

/// A row of `jobs`, without the diff.
#[derive(FromRow)]
pub(super) struct JobRow {
    id: Uuid,
    spec: String,
    status: String,
    attempt: i64,
    max_attempts: i64,
    rescues: i64,
    version: i64,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    next_attempt_at: Option<DateTime<Utc>>,
    cancel_requested_at: Option<DateTime<Utc>>,
    result: Option<String>,
    failure: Option<String>,
    trace_context: Option<String>,
    last_failure: Option<String>,
    purged_at: Option<DateTime<Utc>>,
    open_stage: Option<String>,
    #[sqlx(flatten)]
    sums: Sums,
}

impl JobRow {
    /// The job, if it was not purged.
    pub(super) fn into_job(self, policy: &Policy) -> Result<Job, StoreError> {
        let row = self;
        if row.purged_at.is_some() {
            return Err(StoreError::Purged);
        }
        Ok(Job {
            id: JobId::from(row.id),
            spec: from_json("spec", &row.spec)?,
            status: row.status.parse().map_err(StoreError::damaged("status"))?,
            attempt: to_small_count(row.attempt),
            max_attempts: to_small_count(row.max_attempts),
            rescues: to_small_count(row.rescues),
            version: to_count(row.version),
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            next_attempt_at: row.next_attempt_at,
            expires_at: row.finished_at.zip(policy.retention).map(|(end, retention)| after(end, retention)),
            cancel_requested_at: row.cancel_requested_at,
            result: row.result.as_deref().map(|json| from_json("result", json)).transpose()?,
            failure: row.failure.as_deref().map(|json| from_json("failure", json)).transpose()?,
            last_failure: row.last_failure.as_deref().map(|json| from_json("failure", json)).transpose()?,
            open_stage: row.open_stage.as_deref().map(read_stage_key).transpose()?,
            usage: row.sums.usage(),
            cost: Cost::from_nanos(row.sums.cost_nanos),
            trace_context: row.trace_context,
        })
    }
}

/// Reads `kind:item`, whose item may be empty and may hold colons.
fn read_stage_key(text: &str) -> Result<StageKey, StoreError> {
    let (kind, item) = text.split_once(':').unwrap_or((text, ""));
    Ok(StageKey { kind: kind.parse().map_err(StoreError::damaged("kind of stage"))?, item: item.to_owned() })
}

/// A row of `stages` with the sums over its calls.
#[derive(FromRow)]
pub(super) struct StageSummaryRow {
    kind: String,
    item: String,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    output_bytes: Option<i64>,
    calls: i64,
    #[sqlx(flatten)]
    sums: Sums,
}

impl TryFrom<StageSummaryRow> for StageSummary {
    type Error = StoreError;

    fn try_from(row: StageSummaryRow) -> Result<Self, Self::Error> {
        Ok(Self {
            key: StageKey { kind: row.kind.parse().map_err(StoreError::damaged("kind of stage"))?, item: row.item },
            started_at: row.started_at,
            finished_at: row.finished_at,
            output_bytes: row.output_bytes.map(to_count),
            usage: row.sums.usage(),
            cost: Cost::from_nanos(row.sums.cost_nanos),
            calls: to_count(row.calls),
        })
    }
}

/// The sums over settled calls.
#[derive(FromRow)]
pub(super) struct Sums {
    input_tokens: i64,
    cache_creation_tokens: i64,
    cache_read_tokens: i64,
    output_tokens: i64,
    pub(super) cost_nanos: i64,
}

impl Sums {
    pub(super) fn usage(&self) -> TokenUsage {
        TokenUsage {
            input_tokens: to_count(self.input_tokens),
            cache_creation_tokens: to_count(self.cache_creation_tokens),
            cache_read_tokens: to_count(self.cache_read_tokens),
            output_tokens: to_count(self.output_tokens),
        }
    }
}

/// Reads a stored JSON text.
pub(super) fn from_json<T: DeserializeOwned>(what: &'static str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(StoreError::damaged(what))
}

/// Writes a value as the JSON text to store.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our nouns have string keys and no failing serialisers")
}
