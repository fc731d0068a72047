//! A worker takes a job.

use std::time::Duration;

use domain::{JobId, JobSpec};
use serde_json::json;
use sqlx::FromRow;
use uuid::Uuid;

use super::rows::from_json;
use super::{On, Store, after, commit, event, on, to_count, to_small_count};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::lease::{ClaimedJob, Lease, Policy, WorkerId};

/// A job that waits and is due at `$1`.
macro_rules! due {
    () => {
        "status = 'queued' AND (next_attempt_at IS NULL OR next_attempt_at <= $1)"
    };
}

/// A job whose worker was lost. One that lost too many workers, or is to be canceled, is left to the sweep.
macro_rules! orphaned {
    ($lost_by:literal, $max_lost_workers:literal) => {
        concat!(
            "status = 'running' AND lease_until <= ",
            $lost_by,
            " AND cancel_requested_at IS NULL AND rescues + 1 < ",
            $max_lost_workers
        )
    };
}

/// Which jobs a worker may have at `$1`. The first line is the one that the partial index knows.
macro_rules! claimable {
    ($lost_by:literal, $max_lost_workers:literal) => {
        concat!("status IN ('queued', 'running') AND (", due!(), " OR ", orphaned!($lost_by, $max_lost_workers), ")")
    };
}
pub(super) use {claimable, due, orphaned};

/// Takes a job whose worker was lost, which had its turn before; or else the best job of the owner who is next
/// (docs/adr/0008). Each step reads the first row of an index. It counts before any work is done: a job that takes its
/// worker down cannot do so for ever.
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
                 beat_micros = $5,
                 next_attempt_at = NULL,
                 started_at = COALESCE(started_at, $1),
                 version = version + 1
             WHERE id = COALESCE(
                 (SELECT id FROM jobs
                  WHERE ",
            orphaned!("$6", "$4"),
            "     ORDER BY lease_until
                  LIMIT 1 ",
            $skip_locked,
            "),
                 (SELECT id FROM jobs
                  WHERE ",
            due!(),
            "         AND COALESCE(owner, '') = (
                          SELECT COALESCE(owner, '') FROM jobs
                          WHERE ",
            due!(),
            "             ORDER BY turn, id
                          LIMIT 1 ",
            $skip_locked,
            "         )
                  ORDER BY rank, id
                  LIMIT 1 ",
            $skip_locked,
            "))
             RETURNING id, spec, lease_epoch, attempt, rescues, version, worked_micros, COALESCE(owner, '') AS owner,
                 turn, trace_context, attempt_trace_context,
                 EXISTS (
                     SELECT 1 FROM jobs AS other
                     WHERE other.status = 'queued' AND COALESCE(other.owner, '') = COALESCE(jobs.owner, '')
                       AND other.turn < jobs.turn
                 ) AS has_overtaken"
        )
    };
}

/// Gives the turn of a job that was claimed before others of its owner, `$3`, to the one whose turn it was.
macro_rules! swap_turns {
    ($skip_locked:literal) => {
        concat!(
            "UPDATE jobs SET turn = $3
             WHERE id = (
                 SELECT id FROM jobs
                 WHERE ",
            due!(),
            "        AND COALESCE(owner, '') = $2 AND turn < $3
                 ORDER BY turn, id
                 LIMIT 1 ",
            $skip_locked,
            ")"
        )
    };
}

/// Claims at the same time don't wait for each other on Postgres; on SQLite, which has no `SKIP LOCKED`, one transaction
/// writes at a time.
const CLAIM_ON_POSTGRES: &str = claim!("FOR UPDATE SKIP LOCKED");
const CLAIM_ON_SQLITE: &str = claim!("");
const SWAP_TURNS_ON_POSTGRES: &str = swap_turns!("FOR UPDATE SKIP LOCKED");
const SWAP_TURNS_ON_SQLITE: &str = swap_turns!("");

#[derive(FromRow)]
struct ClaimedRow {
    id: Uuid,
    spec: String,
    lease_epoch: i64,
    attempt: i64,
    rescues: i64,
    version: i64,
    worked_micros: i64,
    owner: String,
    turn: i64,
    trace_context: Option<String>,
    attempt_trace_context: Option<String>,
    has_overtaken: bool,
}

impl Store {
    /// Takes the best job there is, if there is one.
    pub(crate) async fn claim(&self, worker: &WorkerId, policy: &Policy) -> Result<Option<ClaimedJob>, StoreError> {
        let (mut tx, now, lost_by) = self.begin_search(policy).await?;
        let (claim, swap_turns) = match &tx {
            On::Postgres(_) => (CLAIM_ON_POSTGRES, SWAP_TURNS_ON_POSTGRES),
            On::Sqlite(_) => (CLAIM_ON_SQLITE, SWAP_TURNS_ON_SQLITE),
        };
        let claimed: Option<ClaimedRow> = on!(&mut tx, conn => {
            sqlx::query_as(claim)
                .bind(now)
                .bind(after(now, policy.lease))
                .bind(worker.as_str())
                .bind(i64::from(policy.max_lost_workers))
                .bind(now.timestamp_micros())
                .bind(lost_by)
                .fetch_optional(&mut **conn)
                .await?
        });
        let Some(row) = claimed else { return Ok(None) };
        if row.has_overtaken {
            on!(&mut tx, conn => {
                sqlx::query(swap_turns).bind(now).bind(&row.owner).bind(row.turn).execute(&mut **conn).await?;
            });
        }
        let id = JobId::from(row.id);
        let data = json!({ "attempt": row.attempt, "rescues": row.rescues, "worker": worker.as_str() });
        let is_told = event::append(&mut tx, id, row.version, EventKind::JobStarted, &data, now).await?;
        commit(tx).await?;
        self.couriers.ring_if(is_told);
        let spec: JobSpec = from_json("spec", &row.spec)?;
        let timeout = Duration::from_secs(u64::from(spec.timeout_seconds));
        let time_left = timeout.saturating_sub(Duration::from_micros(to_count(row.worked_micros)));
        Ok(Some(ClaimedJob {
            id,
            spec,
            lease: Lease { job_id: id, epoch: row.lease_epoch },
            attempt: to_small_count(row.attempt),
            rescues: to_small_count(row.rescues),
            time_left,
            trace_context: row.trace_context,
            last_attempt_trace_context: row.attempt_trace_context,
        }))
    }
}
