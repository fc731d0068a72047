//! From columns to the nouns.

use chrono::{DateTime, Utc};
use domain::{Cost, JobId, StageKey, TokenUsage};
use serde::de::DeserializeOwned;
use sqlx::FromRow;
use uuid::Uuid;

use super::{to_count, to_small_count};
use crate::error::StoreError;
use crate::job::{Job, StageSummary};

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
    #[sqlx(flatten)]
    sums: Sums,
}

impl TryFrom<JobRow> for Job {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, Self::Error> {
        Ok(Self {
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
            cancel_requested_at: row.cancel_requested_at,
            result: row.result.as_deref().map(|json| from_json("result", json)).transpose()?,
            failure: row.failure.as_deref().map(|json| from_json("failure", json)).transpose()?,
            usage: row.sums.usage(),
            cost: Cost::from_nanos(row.sums.cost_nanos),
            trace_context: row.trace_context,
        })
    }
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
struct Sums {
    input_tokens: i64,
    cache_creation_tokens: i64,
    cache_read_tokens: i64,
    output_tokens: i64,
    cost_nanos: i64,
}

impl Sums {
    fn usage(&self) -> TokenUsage {
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
