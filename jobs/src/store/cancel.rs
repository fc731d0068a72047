//! Somebody asks for the end of a job.

use chrono::{DateTime, Utc};
use domain::{JobId, JobStatus};
use serde_json::json;

use super::{Store, commit, ended, event, on};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::job::Cancellation;
use crate::tally::{self, Ending};

impl Store {
    /// Ends a waiting job, or asks the worker of a running one to stop.
    pub(crate) async fn cancel(&self, id: JobId) -> Result<Cancellation, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let changed: Option<(i64, String, DateTime<Utc>)> = on!(&mut tx, conn => {
            sqlx::query_as(
                "UPDATE jobs
                 SET status = CASE status WHEN 'queued' THEN 'canceled' ELSE 'running' END,
                     finished_at = CASE status WHEN 'queued' THEN $2 ELSE NULL END,
                     cancel_requested_at = $2,
                     next_attempt_at = NULL,
                     version = version + 1
                 WHERE id = $1 AND status IN ('queued', 'running') AND cancel_requested_at IS NULL
                 RETURNING version, status, COALESCE(retried_at, created_at)",
            )
            .bind(id.as_uuid())
            .bind(now)
            .fetch_optional(&mut **conn)
            .await?
        });
        let Some((seq, status, queued_at)) = changed else {
            // Before another connection is asked: on SQLite an open transaction is the only one.
            drop(tx);
            return self.why_not_canceled(id).await;
        };
        let (kind, data, cancellation) = match status.parse().map_err(StoreError::damaged("status"))? {
            JobStatus::Canceled => {
                let job = ended::read(&mut tx, id).await?;
                (EventKind::JobCanceled, json!({ "job": job }), Cancellation::Canceled)
            }
            _ => (EventKind::JobCancelRequested, json!({}), Cancellation::Requested),
        };
        let is_told = event::append(&mut tx, id, seq, kind, &data, now).await?;
        commit(tx).await?;
        if cancellation == Cancellation::Canceled {
            tally::job_finished(&Ending { outcome: "canceled", code: "", queued_at, ended_at: now });
        }
        self.couriers.ring_if(is_told);
        Ok(cancellation)
    }

    async fn why_not_canceled(&self, id: JobId) -> Result<Cancellation, StoreError> {
        let status: Option<String> = on!(&self.read, pool => {
            sqlx::query_scalar("SELECT status FROM jobs WHERE id = $1").bind(id.as_uuid()).fetch_optional(pool).await?
        });
        let Some(status) = status else { return Ok(Cancellation::NotFound) };
        let status: JobStatus = status.parse().map_err(StoreError::damaged("status"))?;
        Ok(if status.is_terminal() { Cancellation::AlreadyOver(status) } else { Cancellation::Requested })
    }
}
