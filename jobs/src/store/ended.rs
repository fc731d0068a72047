//! How a job stands at its end, read in the transaction that ends it.

use chrono::{DateTime, Utc};
use domain::{Cost, JobId};
use sqlx::FromRow;

use super::rows::{StageSummaryRow, Sums, from_json};
use super::stage::STAGES;
use super::{Tx, on, to_count, to_small_count};
use crate::ended::EndedJob;
use crate::error::StoreError;
use crate::job::StageSummary;

#[derive(FromRow)]
struct EndedRow {
    status: String,
    attempt: i64,
    max_attempts: i64,
    rescues: i64,
    version: i64,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    cancel_requested_at: Option<DateTime<Utc>>,
    result: Option<String>,
    failure: Option<String>,
    #[sqlx(flatten)]
    sums: Sums,
}

/// The job as `tx` leaves it.
pub(super) async fn read(tx: &mut Tx, id: JobId) -> Result<EndedJob, StoreError> {
    let row: EndedRow = on!(tx, conn => {
        sqlx::query_as(
            "SELECT status, attempt, max_attempts, rescues, version, started_at, finished_at, cancel_requested_at,
                    result, failure, input_tokens, cache_creation_tokens, cache_read_tokens, output_tokens, cost_nanos
             FROM jobs
             WHERE id = $1",
        )
        .bind(id.as_uuid())
        .fetch_one(&mut **conn)
        .await?
    });
    let stages: Vec<StageSummaryRow> = on!(tx, conn => {
        sqlx::query_as(STAGES).bind(id.as_uuid()).fetch_all(&mut **conn).await?
    });
    Ok(EndedJob {
        status: row.status.parse().map_err(StoreError::damaged("status"))?,
        attempt: to_small_count(row.attempt),
        max_attempts: to_small_count(row.max_attempts),
        rescues: to_small_count(row.rescues),
        version: to_count(row.version),
        started_at: row.started_at,
        finished_at: row.finished_at,
        cancel_requested_at: row.cancel_requested_at,
        result: row.result.as_deref().map(|json| from_json("result", json)).transpose()?,
        failure: row.failure.as_deref().map(|json| from_json("failure", json)).transpose()?,
        usage: row.sums.usage(),
        cost: Cost::from_nanos(row.sums.cost_nanos),
        stages: stages.into_iter().map(StageSummary::try_from).collect::<Result<_, _>>()?,
    })
}
