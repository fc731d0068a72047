//! A worker takes a job, and keeps it.

use domain::JobId;
use serde_json::json;
use sqlx::FromRow;
use uuid::Uuid;

use super::rows::from_json;
use super::{On, Store, after, commit, event, on, to_small_count};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::lease::{ClaimedJob, Heartbeat, Lease, Policy, WorkerId};

/// Which jobs a worker may have at `$1`: those that wait and are due, and those whose worker was lost. One that lost too
/// many workers, or is to be canceled, is left to the sweep. The first line is the one that the partial index knows.
macro_rules! claimable {
    ($max_lost_workers:literal) => {
        concat!(
            "status IN ('queued', 'running')
             AND (status = 'queued' AND (next_attempt_at IS NULL OR next_attempt_at <= $1)
                  OR status = 'running' AND lease_until <= $1 AND cancel_requested_at IS NULL
                     AND rescues + 1 < ",
            $max_lost_workers,
            ")"
        )
    };
}
pub(super) use claimable;

/// Takes the oldest of them. It counts before any work is done: a job that takes its worker down cannot do so for ever.
macro_rules! claim {
    ($skip_locked:literal) => {
        concat!(
            "UPDATE jobs
             SET status = 'running',
                 attempt = attempt + CASE status WHEN 'queued' THEN 1 ELSE 0 END,
                 rescues = rescues + CASE status WHEN 'queued' THEN 0 ELSE 1 END,
                 lease_epoch = lease_epoch + 1,
                 lease_until = $2,
                 worker_id = $3,
                 next_attempt_at = NULL,
                 started_at = COALESCE(started_at, $1),
                 version = version + 1
             WHERE id = (
                 SELECT id FROM jobs
                 WHERE ",
            claimable!("$4"),
            " ORDER BY id
                 LIMIT 1 ",
            $skip_locked,
            ")
             RETURNING id, spec, lease_epoch, attempt, rescues, version"
        )
    };
}

/// Claims at the same time don't wait for each other on Postgres; on SQLite, which has no `SKIP LOCKED`, one transaction
/// writes at a time.
const CLAIM_ON_POSTGRES: &str = claim!("FOR UPDATE SKIP LOCKED");
const CLAIM_ON_SQLITE: &str = claim!("");

#[derive(FromRow)]
struct ClaimedRow {
    id: Uuid,
    spec: String,
    lease_epoch: i64,
    attempt: i64,
    rescues: i64,
    version: i64,
}

impl Store {
    /// Takes the best job there is, if there is one.
    pub(crate) async fn claim(&self, worker: &WorkerId, policy: &Policy) -> Result<Option<ClaimedJob>, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let claim = match &tx {
            On::Postgres(_) => CLAIM_ON_POSTGRES,
            On::Sqlite(_) => CLAIM_ON_SQLITE,
        };
        let claimed: Option<ClaimedRow> = on!(&mut tx, conn => {
            sqlx::query_as(claim)
                .bind(now)
                .bind(after(now, policy.lease))
                .bind(worker.as_str())
                .bind(i64::from(policy.max_lost_workers))
                .fetch_optional(&mut **conn)
                .await?
        });
        let Some(row) = claimed else { return Ok(None) };
        let id = JobId::from(row.id);
        let data = json!({ "attempt": row.attempt, "rescues": row.rescues, "worker": worker.as_str() });
        event::append(&mut tx, id, row.version, EventKind::JobStarted, &data, now).await?;
        commit(tx).await?;
        Ok(Some(ClaimedJob {
            id,
            spec: from_json("spec", &row.spec)?,
            lease: Lease { job_id: id, epoch: row.lease_epoch },
            attempt: to_small_count(row.attempt),
            rescues: to_small_count(row.rescues),
        }))
    }

    /// Keeps the job for another lease from now on.
    pub(crate) async fn heartbeat(&self, lease: &Lease, policy: &Policy) -> Result<Heartbeat, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let cancel_requested: Option<bool> = on!(&mut tx, conn => {
            sqlx::query_scalar(
                "UPDATE jobs SET lease_until = $3
                 WHERE id = $1 AND lease_epoch = $2 AND status = 'running'
                 RETURNING cancel_requested_at IS NOT NULL",
            )
            .bind(lease.job_id.as_uuid())
            .bind(lease.epoch)
            .bind(after(now, policy.lease))
            .fetch_optional(&mut **conn)
            .await?
        });
        commit(tx).await?;
        Ok(heartbeat_from(cancel_requested))
    }

    /// What a heartbeat would say, without keeping the job: a read, cheap enough for every second.
    pub(crate) async fn check(&self, lease: &Lease) -> Result<Heartbeat, StoreError> {
        let cancel_requested: Option<bool> = on!(&self.read, pool => {
            sqlx::query_scalar(
                "SELECT cancel_requested_at IS NOT NULL FROM jobs
                 WHERE id = $1 AND lease_epoch = $2 AND status = 'running'",
            )
            .bind(lease.job_id.as_uuid())
            .bind(lease.epoch)
            .fetch_optional(pool)
            .await?
        });
        Ok(heartbeat_from(cancel_requested))
    }
}

fn heartbeat_from(cancel_requested: Option<bool>) -> Heartbeat {
    match cancel_requested {
        Some(false) => Heartbeat::Held,
        Some(true) => Heartbeat::CancelRequested,
        None => Heartbeat::Lost,
    }
}
