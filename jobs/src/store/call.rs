//! The calls to the model: money is set aside before, and accounted for after.

use domain::{CallRecord, CallReservation, Cost, JobId, StageKey};
use serde_json::{Value, json};

use super::quota::add_usage;
use super::rows::{from_json, to_json};
use super::{On, Store, on, to_bigint};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::lease::{Heartbeat, Lease};

macro_rules! reserve {
    ($lock:literal) => {
        concat!(
            "INSERT INTO model_calls (id, job_id, kind, item, turn, model, request_sha256, reserved_nanos, started_at)
             SELECT $3, id, $4, $5, $6, $7, $8, $9, $10
             FROM jobs
             WHERE id = $1 AND lease_epoch = $2 AND status = 'running'
             ",
            $lock,
            " ON CONFLICT (id) DO UPDATE SET started_at = excluded.started_at"
        )
    };
}

/// No other worker takes the job over before the reservation counts.
const RESERVE_ON_POSTGRES: &str = reserve!("FOR UPDATE");
const RESERVE_ON_SQLITE: &str = reserve!("");

impl Store {
    /// Sets the worst case of a call aside; twice is the same as once. A reservation tells nobody anything: it is no event.
    pub(crate) async fn reserve_call(&self, lease: &Lease, call: &CallReservation) -> Result<(), StoreError> {
        let (mut tx, now) = self.begin().await?;
        let reserve = match tx {
            On::Postgres(_) => RESERVE_ON_POSTGRES,
            On::Sqlite(_) => RESERVE_ON_SQLITE,
        };
        let rows_added = on!(&mut tx, conn => {
            sqlx::query(reserve)
            .bind(lease.job_id.as_uuid())
            .bind(lease.epoch)
            .bind(call.id.0)
            .bind(call.stage.kind.as_str())
            .bind(&call.stage.item)
            .bind(i64::from(call.turn))
            .bind(&call.model)
            .bind(&call.request_sha256)
            .bind(call.reserved.as_nanos())
            .bind(now)
            .execute(&mut **conn)
            .await?
            .rows_affected()
        });
        if rows_added == 0 {
            return Err(StoreError::LeaseLost);
        }
        super::commit(tx).await
    }

    /// Puts what a call used in place of its reservation, once: a second settlement is not looked at.
    pub(crate) async fn settle_call(&self, lease: &Lease, call: &CallRecord) -> Result<(), StoreError> {
        let mut change = self.change(lease).await?;
        let usage = &call.usage;
        let settled: Option<(String, String)> = on!(&mut change.tx, conn => {
            sqlx::query_as(
                "UPDATE model_calls
                 SET cost_nanos = $3, input_tokens = $4, cache_creation_tokens = $5, cache_read_tokens = $6,
                     output_tokens = $7, response = $8, stop_reason = $9, finished_at = $10, duration_ms = $11
                 WHERE id = $1 AND job_id = $2 AND cost_nanos IS NULL
                 RETURNING kind, item",
            )
            .bind(call.id.0)
            .bind(lease.job_id.as_uuid())
            .bind(call.cost.as_nanos())
            .bind(to_bigint(usage.input_tokens))
            .bind(to_bigint(usage.cache_creation_tokens))
            .bind(to_bigint(usage.cache_read_tokens))
            .bind(to_bigint(usage.output_tokens))
            .bind(call.response.as_ref().map(to_json))
            .bind(&call.stop_reason)
            .bind(change.now)
            .bind(to_bigint(call.duration_ms))
            .fetch_optional(&mut **conn)
            .await?
        });
        let Some((kind, item)) = settled else { return Ok(()) };
        let owner: Option<Option<String>> = on!(&mut change.tx, conn => {
            sqlx::query_scalar(
                "UPDATE jobs
                 SET cost_nanos = cost_nanos + $3, input_tokens = input_tokens + $4,
                     cache_creation_tokens = cache_creation_tokens + $5,
                     cache_read_tokens = cache_read_tokens + $6, output_tokens = output_tokens + $7
                 WHERE id = $1 AND lease_epoch = $2 AND status = 'running'
                 RETURNING owner",
            )
            .bind(lease.job_id.as_uuid())
            .bind(lease.epoch)
            .bind(call.cost.as_nanos())
            .bind(to_bigint(usage.input_tokens))
            .bind(to_bigint(usage.cache_creation_tokens))
            .bind(to_bigint(usage.cache_read_tokens))
            .bind(to_bigint(usage.output_tokens))
            .fetch_optional(&mut **conn)
            .await?
        });
        if let Some(owner) = owner.flatten() {
            add_usage(&mut change.tx, &owner, 0, call.cost, change.now).await?;
        }
        let data = json!({
            "stage": kind,
            "item": item,
            "stopReason": call.stop_reason,
            "usage": usage,
            "costNanos": call.cost,
            "durationMs": call.duration_ms,
        });
        change.commit(EventKind::CallSettled, data).await
    }

    /// The answer to exactly this request at this place, if it was ever received in full.
    pub(crate) async fn load_call(
        &self,
        id: JobId,
        stage: &StageKey,
        turn: u32,
        request_sha256: &str,
    ) -> Result<Option<Value>, StoreError> {
        let response: Option<String> = on!(&self.read, pool => {
            sqlx::query_scalar(
                "SELECT response FROM model_calls
                 WHERE job_id = $1 AND kind = $2 AND item = $3 AND turn = $4 AND request_sha256 = $5
                   AND response IS NOT NULL
                 ORDER BY finished_at
                 LIMIT 1",
            )
            .bind(id.as_uuid())
            .bind(stage.kind.as_str())
            .bind(&stage.item)
            .bind(i64::from(turn))
            .bind(request_sha256)
            .fetch_optional(pool)
            .await?
        });
        response.map(|json| from_json("answer of the model", &json)).transpose()
    }

    /// Takes the answers of a stage away; a lease that is lost changes nothing.
    pub(crate) async fn forget_answers(&self, lease: &Lease, stage: &StageKey) -> Result<(), StoreError> {
        let forgotten = on!(&self.write, pool => {
            sqlx::query(
                "UPDATE model_calls SET response = NULL
                 WHERE job_id = $1 AND kind = $2 AND item = $3
                   AND EXISTS (SELECT 1 FROM jobs WHERE id = $1 AND lease_epoch = $4 AND status = 'running')",
            )
            .bind(lease.job_id.as_uuid())
            .bind(stage.kind.as_str())
            .bind(&stage.item)
            .bind(lease.epoch)
            .execute(pool)
            .await?
            .rows_affected()
        });
        // Nothing was there to forget, or the job is another worker's.
        if forgotten == 0 && self.check(&[*lease]).await? == [Heartbeat::Lost] {
            return Err(StoreError::LeaseLost);
        }
        Ok(())
    }

    /// What the job has cost, an open reservation counting as if it were spent.
    pub(crate) async fn spent(&self, id: JobId) -> Result<Cost, StoreError> {
        let nanos: i64 = on!(&self.read, pool => {
            sqlx::query_scalar(
                "SELECT CAST(COALESCE(SUM(COALESCE(cost_nanos, reserved_nanos)), 0) AS BIGINT) FROM model_calls
                 WHERE job_id = $1",
            )
            .bind(id.as_uuid())
            .fetch_one(pool)
            .await?
        });
        Ok(Cost::from_nanos(nanos))
    }
}
