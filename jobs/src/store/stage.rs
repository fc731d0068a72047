//! The stages of a job: started, and stored once.

use chrono::{DateTime, Utc};
use domain::{JobId, StageKey, StageRecord};
use serde_json::{Value, json};

use super::rows::{StageSummaryRow, Sums, from_json, to_json};
use super::{Store, on};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::job::StageSummary;
use crate::lease::Lease;

/// The stages of the job `$1` in the order in which they began, with what their calls used.
pub(super) const STAGES: &str = "SELECT s.kind, s.item, s.started_at, s.finished_at,
            CAST(OCTET_LENGTH(s.output) AS BIGINT) AS output_bytes,
            COUNT(c.id) AS calls,
            CAST(COALESCE(SUM(c.input_tokens), 0) AS BIGINT) AS input_tokens,
            CAST(COALESCE(SUM(c.cache_creation_tokens), 0) AS BIGINT) AS cache_creation_tokens,
            CAST(COALESCE(SUM(c.cache_read_tokens), 0) AS BIGINT) AS cache_read_tokens,
            CAST(COALESCE(SUM(c.output_tokens), 0) AS BIGINT) AS output_tokens,
            CAST(COALESCE(SUM(c.cost_nanos), 0) AS BIGINT) AS cost_nanos
     FROM stages s
     LEFT JOIN model_calls c ON c.job_id = s.job_id AND c.kind = s.kind AND c.item = s.item
     WHERE s.job_id = $1
     GROUP BY s.job_id, s.kind, s.item
     ORDER BY s.started_at, s.kind, s.item";

impl Store {
    /// Notes that work on a stage begins; nothing to note when it is finished already.
    pub(crate) async fn start_stage(&self, lease: &Lease, key: &StageKey) -> Result<(), StoreError> {
        let mut change = self.change(lease).await?;
        let rows_changed = on!(&mut change.tx, conn => {
            sqlx::query(
                "INSERT INTO stages (job_id, kind, item, started_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (job_id, kind, item) DO UPDATE SET started_at = excluded.started_at
                 WHERE stages.output IS NULL",
            )
            .bind(lease.job_id.as_uuid())
            .bind(key.kind.as_str())
            .bind(&key.item)
            .bind(change.now)
            .execute(&mut **conn)
            .await?
            .rows_affected()
        });
        if rows_changed == 0 {
            return Ok(());
        }
        change.commit(EventKind::StageStarted, json!({ "stage": key.kind, "item": key.item })).await
    }

    /// Stores what a stage made. The first output stays: a second one is not looked at.
    pub(crate) async fn save_stage(&self, lease: &Lease, record: &StageRecord) -> Result<(), StoreError> {
        let key = &record.key;
        let output = to_json(&record.output);
        let mut change = self.change(lease).await?;
        let started_at: Option<DateTime<Utc>> = on!(&mut change.tx, conn => {
            sqlx::query_scalar(
                "INSERT INTO stages (job_id, kind, item, output, started_at, finished_at)
                 VALUES ($1, $2, $3, $4, $5, $5)
                 ON CONFLICT (job_id, kind, item) DO UPDATE
                 SET output = excluded.output, finished_at = excluded.finished_at
                 WHERE stages.output IS NULL
                 RETURNING started_at",
            )
            .bind(lease.job_id.as_uuid())
            .bind(key.kind.as_str())
            .bind(&key.item)
            .bind(output)
            .bind(change.now)
            .fetch_optional(&mut **conn)
            .await?
        });
        let Some(started_at) = started_at else { return Ok(()) };
        let duration_ms = (change.now - started_at).num_milliseconds().max(0);
        let sums: Sums = on!(&mut change.tx, conn => {
            sqlx::query_as(
                "SELECT CAST(COALESCE(SUM(input_tokens), 0) AS BIGINT) AS input_tokens,
                        CAST(COALESCE(SUM(cache_creation_tokens), 0) AS BIGINT) AS cache_creation_tokens,
                        CAST(COALESCE(SUM(cache_read_tokens), 0) AS BIGINT) AS cache_read_tokens,
                        CAST(COALESCE(SUM(output_tokens), 0) AS BIGINT) AS output_tokens,
                        CAST(COALESCE(SUM(cost_nanos), 0) AS BIGINT) AS cost_nanos
                 FROM model_calls
                 WHERE job_id = $1 AND kind = $2 AND item = $3",
            )
            .bind(lease.job_id.as_uuid())
            .bind(key.kind.as_str())
            .bind(&key.item)
            .fetch_one(&mut **conn)
            .await?
        });
        let data = json!({
            "stage": key.kind,
            "item": key.item,
            "durationMs": duration_ms,
            "usage": sums.usage(),
            "costNanos": sums.cost_nanos,
        });
        change.commit(EventKind::StageSucceeded, data).await
    }

    /// The record of a stage that is finished.
    pub(crate) async fn load_stage(&self, id: JobId, key: &StageKey) -> Result<Option<StageRecord>, StoreError> {
        let output: Option<String> = on!(&self.read, pool => {
            sqlx::query_scalar(
                "SELECT output FROM stages WHERE job_id = $1 AND kind = $2 AND item = $3 AND output IS NOT NULL",
            )
            .bind(id.as_uuid())
            .bind(key.kind.as_str())
            .bind(&key.item)
            .fetch_optional(pool)
            .await?
        });
        let Some(output) = output else { return Ok(None) };
        let output: Value = from_json("stage output", &output)?;
        Ok(Some(StageRecord { key: key.clone(), output }))
    }

    /// The stages of a job in the order in which they began, with what their calls used.
    pub(crate) async fn stages(&self, id: JobId) -> Result<Vec<StageSummary>, StoreError> {
        let rows: Vec<StageSummaryRow> = on!(&self.read, pool => {
            sqlx::query_as(STAGES).bind(id.as_uuid()).fetch_all(pool).await?
        });
        rows.into_iter().map(StageSummary::try_from).collect()
    }
}
