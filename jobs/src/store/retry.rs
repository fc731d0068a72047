//! Somebody asks for a finished job to be run again.

use domain::{JobId, JobSpec, JobStatus, StageKey, StageKind};
use serde_json::{Value, json};
use sqlx::FromRow;

use super::claim::due;
use super::job::{next_turn, rank};
use super::quota::{Admission, max_running};
use super::rows::from_json;
use super::running::has_room;
use super::{Store, Tx, commit, event, on};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::job::{Retrial, Retry};
use crate::lease::Policy;

impl Store {
    /// Puts a finished job back among those that wait, without the outputs from the first stage to be done anew on.
    pub(crate) async fn retry(&self, id: JobId, retry: &Retry<'_>, policy: &Policy) -> Result<Retrial, StoreError> {
        let Retry { from, quota, trace_context, idempotency } = *retry;
        let (mut tx, now) = self.begin().await?;
        let reopened: Option<(i64, String, Option<String>)> = on!(&mut tx, conn => {
            sqlx::query_as(concat!(
                "UPDATE jobs
                 SET status = 'queued', attempt = 0, rescues = 0, worked_micros = 0, result = NULL, diff = NULL,
                     failure = NULL, last_failure = NULL, finished_at = NULL, cancel_requested_at = NULL,
                     retried_at = $2, retry_key = $5, retry_sha256 = $6,
                     trace_context = $3, attempt_trace_context = NULL, max_running = $4,
                     turn = ",
                next_turn!("COALESCE(jobs.owner, '')", "$2"),
                ",   version = version + 1
                 WHERE id = $1 AND status IN ('succeeded', 'failed', 'canceled') AND purged_at IS NULL
                   AND ($5 IS NULL OR retry_key IS NULL OR retry_key <> $5)
                 RETURNING version, spec, owner",
            ))
            .bind(id.as_uuid())
            .bind(now)
            .bind(trace_context)
            .bind(max_running(quota))
            .bind(idempotency.map(|idempotency| &idempotency.key))
            .bind(idempotency.map(|idempotency| &idempotency.body_sha256))
            .fetch_optional(&mut **conn)
            .await?
        });
        let Some((seq, spec, owner)) = reopened else {
            // Before another connection is asked: on SQLite an open transaction is the only one.
            drop(tx);
            return self.why_not_retried(id, retry).await;
        };
        let admission = Admission { owner: owner.as_deref(), quota, is_new: false, now };
        let used = admission.count(&mut tx).await?;
        admission.check(&mut tx, used).await?;
        self.backlog.enter(&mut tx, policy.max_waiting_jobs).await?;
        let spec: JobSpec = from_json("spec", &spec)?;
        on!(&mut tx, conn => {
            sqlx::query("UPDATE jobs SET rank = $2 WHERE id = $1")
                .bind(id.as_uuid())
                .bind(rank(spec.priority, now, policy))
                .execute(&mut **conn)
                .await?;
        });
        if let Some(from) = from {
            forget_stage(&mut tx, id, from.kind, &from.item).await?;
            for later in StageKind::ALL.into_iter().skip_while(|kind| *kind != from.kind).skip(1) {
                forget_stage(&mut tx, id, later, "").await?;
            }
        }
        let _nobody_is_told = event::append(&mut tx, id, seq, EventKind::JobRetried, &event_data(from), now).await?;
        commit(tx).await?;
        Ok(Retrial::Queued)
    }

    async fn why_not_retried(&self, id: JobId, retry: &Retry<'_>) -> Result<Retrial, StoreError> {
        let found: Option<LastRetry> = on!(&self.read, pool => {
            sqlx::query_as(
                "SELECT status, purged_at IS NOT NULL AS is_purged, retry_key, retry_sha256,
                     (SELECT data FROM job_events WHERE job_id = $1 AND kind = 'job.retried' ORDER BY seq DESC LIMIT 1)
                         AS retried
                 FROM jobs WHERE id = $1",
            )
            .bind(id.as_uuid())
            .fetch_optional(pool)
            .await?
        });
        let Some(last) = found else { return Ok(Retrial::NotFound) };
        if last.is_purged {
            return Err(StoreError::Purged);
        }
        if let Some(idempotency) = retry.idempotency
            && last.retry_key.as_ref() == Some(&idempotency.key)
        {
            let is_same = last.retry_sha256.as_ref() == Some(&idempotency.body_sha256);
            return Ok(if is_same { Retrial::Replayed } else { Retrial::KeyReused });
        }
        let status: JobStatus = last.status.parse().map_err(StoreError::damaged("status"))?;
        let is_the_same = last.retried.as_deref() == Some(event_data(retry.from).to_string().as_str());
        Ok(if is_the_same && !status.is_terminal() { Retrial::AlreadyRetried } else { Retrial::NotOver(status) })
    }
}

/// How a job stands that could not be run again, and the last time it was.
#[derive(FromRow)]
struct LastRetry {
    status: String,
    is_purged: bool,
    retry_key: Option<String>,
    retry_sha256: Option<String>,
    retried: Option<String>,
}

fn event_data(from: Option<&StageKey>) -> Value {
    json!({ "fromStage": from.map(ToString::to_string) })
}

/// Forgets what a stage made and what the model answered in it, but not what the answers cost. A stage that is named
/// without an item is all its items.
async fn forget_stage(tx: &mut Tx, id: JobId, kind: StageKind, item: &str) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query("DELETE FROM stages WHERE job_id = $1 AND kind = $2 AND ($3 = '' OR item = $3)")
            .bind(id.as_uuid())
            .bind(kind.as_str())
            .bind(item)
            .execute(&mut **conn)
            .await?;
        sqlx::query("UPDATE model_calls SET response = NULL WHERE job_id = $1 AND kind = $2 AND ($3 = '' OR item = $3)")
            .bind(id.as_uuid())
            .bind(kind.as_str())
            .bind(item)
            .execute(&mut **conn)
            .await?;
    });
    Ok(())
}
