//! A worker takes a job.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{JobId, JobSpec};
use serde_json::json;
use sqlx::FromRow;
use uuid::Uuid;

use super::rows::from_json;
use super::running::{Room, has_room, limits_reached, room};
use super::{On, Store, Tx, after, commit, event, on, to_count, to_small_count};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::lease::{ClaimedJob, Lease, Policy, WorkerId};
use crate::tally;

/// A job that waits and is due.
macro_rules! due {
    ($now:literal) => {
        concat!("status = 'queued' AND (next_attempt_at IS NULL OR next_attempt_at <= ", $now, ")")
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
        concat!(
            "status IN ('queued', 'running') AND (",
            due!("$1"),
            " AND ",
            has_room!(),
            " OR ",
            orphaned!($lost_by, $max_lost_workers),
            ")"
        )
    };
}
pub(super) use {claimable, due, orphaned};

/// A job that may be started, unless its owner is passed over.
macro_rules! startable {
    () => {
        concat!(due!("$1"), " AND ", has_room!(in "limits_reached"), " AND ($7 IS NULL OR COALESCE(owner, '') <> $7)")
    };
}

/// Takes a job whose worker was lost, which had its turn before; or else the best job of the owner who is next
/// (docs/adr/0008). Each step reads the first row of an index, and steps over those that have to wait. It counts before
/// any work is done: a job that takes its worker down cannot do so for ever.
macro_rules! claim {
    ($skip_locked:literal, $must_be_counted:literal) => {
        concat!(
            "WITH limits_reached AS (",
            limits_reached!(),
            ")
             UPDATE jobs
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
            startable!(),
            "         AND COALESCE(owner, '') = (
                          SELECT COALESCE(owner, '') FROM jobs
                          WHERE ",
            startable!(),
            "             ORDER BY turn, id
                          LIMIT 1 ",
            $skip_locked,
            "         )
                  ORDER BY rank, id
                  LIMIT 1 ",
            $skip_locked,
            "))
             RETURNING id, spec, lease_epoch, attempt, rescues, version, worked_micros, COALESCE(owner, '') AS owner,
                 turn, trace_context, attempt_trace_context, COALESCE(retried_at, created_at) AS queued_at,
                 EXISTS (
                     SELECT 1 FROM jobs AS other
                     WHERE other.status = 'queued' AND COALESCE(other.owner, '') = COALESCE(jobs.owner, '')
                       AND other.turn < jobs.turn
                 ) AS has_overtaken,
                 max_running, ",
            $must_be_counted,
            " AS must_be_counted"
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
            due!("$1"),
            "        AND COALESCE(owner, '') = $2 AND turn < $3
                 ORDER BY turn, id
                 LIMIT 1 ",
            $skip_locked,
            ")"
        )
    };
}

/// Claims at the same time don't wait for each other on Postgres; on SQLite, which has no `SKIP LOCKED`, one transaction
/// writes at a time. So only on Postgres the running jobs of an owner must be counted once more, for a job that has a
/// limit and was not running before: the inner SELECT sees the row as it was.
const CLAIM_ON_POSTGRES: &str = claim!(
    "FOR UPDATE SKIP LOCKED",
    "(max_running > 0 AND (SELECT was.status = 'queued' FROM jobs AS was WHERE was.id = jobs.id))"
);
const CLAIM_ON_SQLITE: &str = claim!("", "FALSE");
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
    queued_at: DateTime<Utc>,
    has_overtaken: bool,
    max_running: i64,
    must_be_counted: bool,
}

impl Store {
    /// Takes the best job there is, if there is one.
    pub(crate) async fn claim(&self, worker: &WorkerId, policy: &Policy) -> Result<Option<ClaimedJob>, StoreError> {
        // While somebody else starts a job of an owner with a limit, others are better. When there are none, or when this
        // has happened once, it is worth waiting for.
        let mut passed_over: Option<String> = None;
        let mut is_patient = false;
        loop {
            let (mut tx, now, lost_by) = self.begin_search(policy).await?;
            let search = Search { now, lost_by, worker, policy, passed_over: passed_over.as_deref() };
            let Some(row) = search.take(&mut tx).await? else {
                if passed_over.take().is_some() {
                    continue;
                }
                return Ok(None);
            };
            if row.must_be_counted {
                let room = room(&mut tx, &row.owner, row.max_running, is_patient).await?;
                if !matches!(room, Room::Free) {
                    on!(tx, tx => tx.rollback().await)?;
                    if matches!(room, Room::Contended) {
                        passed_over = Some(row.owner);
                        is_patient = true;
                    }
                    continue;
                }
            }
            if row.has_overtaken {
                swap_turns(&mut tx, &row, now).await?;
            }
            let id = JobId::from(row.id);
            let data = json!({ "attempt": row.attempt, "rescues": row.rescues, "worker": worker.as_str() });
            let is_told = event::append(&mut tx, id, row.version, EventKind::JobStarted, &data, now).await?;
            commit(tx).await?;
            self.couriers.ring_if(is_told);
            if row.rescues > 0 {
                tally::job_rescued();
            } else if row.worked_micros == 0 {
                tally::job_started(row.queued_at, now);
            }
            return row.into_claimed().map(Some);
        }
    }
}

/// What a claim looks for.
struct Search<'a> {
    now: DateTime<Utc>,
    lost_by: DateTime<Utc>,
    worker: &'a WorkerId,
    policy: &'a Policy,
    /// An owner of whom no job is started.
    passed_over: Option<&'a str>,
}

impl Search<'_> {
    async fn take(&self, tx: &mut Tx) -> Result<Option<ClaimedRow>, StoreError> {
        let claim = match tx {
            On::Postgres(_) => CLAIM_ON_POSTGRES,
            On::Sqlite(_) => CLAIM_ON_SQLITE,
        };
        Ok(on!(tx, conn => {
            sqlx::query_as(claim)
                .bind(self.now)
                .bind(after(self.now, self.policy.lease))
                .bind(self.worker.as_str())
                .bind(i64::from(self.policy.max_lost_workers))
                .bind(self.now.timestamp_micros())
                .bind(self.lost_by)
                .bind(self.passed_over)
                .fetch_optional(&mut **conn)
                .await?
        }))
    }
}

async fn swap_turns(tx: &mut Tx, row: &ClaimedRow, now: DateTime<Utc>) -> Result<(), StoreError> {
    let swap_turns = match tx {
        On::Postgres(_) => SWAP_TURNS_ON_POSTGRES,
        On::Sqlite(_) => SWAP_TURNS_ON_SQLITE,
    };
    on!(tx, conn => {
        sqlx::query(swap_turns).bind(now).bind(&row.owner).bind(row.turn).execute(&mut **conn).await?;
    });
    Ok(())
}

impl ClaimedRow {
    fn into_claimed(self) -> Result<ClaimedJob, StoreError> {
        let id = JobId::from(self.id);
        let spec: JobSpec = from_json("spec", &self.spec)?;
        let timeout = Duration::from_secs(u64::from(spec.timeout_seconds));
        let time_left = timeout.saturating_sub(Duration::from_micros(to_count(self.worked_micros)));
        Ok(ClaimedJob {
            id,
            spec,
            lease: Lease { job_id: id, epoch: self.lease_epoch },
            attempt: to_small_count(self.attempt),
            rescues: to_small_count(self.rescues),
            time_left,
            trace_context: self.trace_context,
            last_attempt_trace_context: self.attempt_trace_context,
        })
    }
}
