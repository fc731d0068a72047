//! Forgetting: at once when somebody asks, and by age.
//!
//! What remains of a job is a tombstone, its row without anything that came from its client, its repository or the model:
//! the id, the owner, the states, the times and the sums of what it used and cost.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::JobId;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use uuid::Uuid;

use super::stats::forget_workers;
use super::webhook::forget_deliveries;
use super::{On, Store, before, commit, event, on};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::job::Purge;
use crate::lease::Policy;
use crate::tally::{self, Ending};

/// The tables beside `jobs` that hold what a job is about. A table that comes to refer to jobs belongs here.
const CONTENT: [&str; 4] = ["stages", "model_calls", "job_metadata", "job_events"];

/// Rows of a kind that one sweep forgets; the next one goes on.
const BATCH: i64 = 100;

/// How long a worker that has ended is remembered.
const WORKER_MEMORY: Duration = Duration::from_hours(1);

/// What is old enough to be forgotten.
struct Old {
    jobs: Vec<Uuid>,
    tombstones: Vec<Uuid>,
}

impl Store {
    /// Forgets what this owner's job was about.
    pub(crate) async fn purge(&self, owner: Option<&str>, id: JobId) -> Result<Purge, StoreError> {
        if self.bury(owner, id, None).await? {
            self.wipe_log().await;
            return Ok(Purge::Purged);
        }
        let exists: bool = on!(&self.read, pool => {
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM jobs WHERE id = $1 AND ($2 IS NULL OR owner = $2))")
                .bind(id.as_uuid())
                .bind(owner)
                .fetch_one(pool)
                .await?
        });
        Ok(if exists { Purge::AlreadyPurged } else { Purge::NotFound })
    }

    /// Forgets a batch of what is old by the rules: jobs, tombstones, names of requests. Gives how many jobs.
    pub(crate) async fn forget_old(&self, policy: &Policy) -> Result<usize, StoreError> {
        let old = self.find_old(policy).await?;
        let ended_by = policy.retention;
        let mut purged = 0;
        for id in old.jobs {
            // Somebody may have asked for another run of it meanwhile.
            purged += usize::from(self.bury(None, JobId::from(id), ended_by).await?);
        }
        for id in old.tombstones {
            self.remove(id).await?;
        }
        if purged > 0 {
            self.wipe_log().await;
        }
        Ok(purged)
    }

    /// Makes a tombstone of a job, if it is not one; only of one that ended at least `ended_ago`, if that is given. Who
    /// works on the job loses the lease.
    async fn bury(&self, owner: Option<&str>, id: JobId, ended_ago: Option<Duration>) -> Result<bool, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let buried: Option<(i64, bool, DateTime<Utc>)> = on!(&mut tx, conn => {
            sqlx::query_as(
                "UPDATE jobs
                 SET status = CASE WHEN status IN ('queued', 'running') THEN 'canceled' ELSE status END,
                     cancel_requested_at = CASE WHEN status IN ('queued', 'running')
                                           THEN COALESCE(cancel_requested_at, $2) ELSE cancel_requested_at END,
                     finished_at = COALESCE(finished_at, $2),
                     lease_epoch = lease_epoch + 1,
                     lease_until = NULL,
                     worker_id = NULL,
                     next_attempt_at = NULL,
                     spec = '',
                     repo_url = '',
                     result = SUBSTR(result, 1, 0),
                     diff = SUBSTR(diff, 1, 0),
                     failure = SUBSTR(failure, 1, 0),
                     last_failure = NULL,
                     trace_context = NULL,
                     attempt_trace_context = NULL,
                     purged_at = $2,
                     version = version + 1
                 WHERE id = $1 AND purged_at IS NULL AND ($3 IS NULL OR owner = $3)
                   AND ($4 IS NULL OR finished_at <= $4)
                 RETURNING version, finished_at = $2, COALESCE(retried_at, created_at)",
            )
            .bind(id.as_uuid())
            .bind(now)
            .bind(owner)
            .bind(ended_ago.map(|age| before(now, age)))
            .fetch_optional(&mut **conn)
            .await?
        });
        let Some((seq, has_ended_now, queued_at)) = buried else { return Ok(false) };
        forget_deliveries(&mut tx, id).await?;
        for table in CONTENT {
            let delete = format!("DELETE FROM {table} WHERE job_id = $1");
            on!(&mut tx, conn => {
                sqlx::query(AssertSqlSafe(delete)).bind(id.as_uuid()).execute(&mut **conn).await?;
            });
        }
        let _nobody_is_told = event::append(&mut tx, id, seq, EventKind::JobPurged, &json!({}), now).await?;
        commit(tx).await?;
        if has_ended_now {
            tally::job_finished(&Ending { outcome: "canceled", code: "", queued_at, ended_at: now });
        }
        Ok(true)
    }

    async fn find_old(&self, policy: &Policy) -> Result<Old, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let jobs = match policy.retention {
            None => Vec::new(),
            Some(retention) => on!(&mut tx, conn => {
                sqlx::query_scalar(
                    "SELECT id FROM jobs
                     WHERE finished_at <= $1 AND finished_at IS NOT NULL AND purged_at IS NULL
                     ORDER BY finished_at
                     LIMIT $2",
                )
                .bind(before(now, retention))
                .bind(BATCH)
                .fetch_all(&mut **conn)
                .await?
            }),
        };
        let tombstones = on!(&mut tx, conn => {
            sqlx::query_scalar("SELECT id FROM jobs WHERE purged_at <= $1 ORDER BY purged_at LIMIT $2")
                .bind(before(now, policy.tombstone))
                .bind(BATCH)
                .fetch_all(&mut **conn)
                .await?
        });
        release_old_keys(&mut tx, before(now, policy.idempotency)).await?;
        forget_workers(&mut tx, before(now, WORKER_MEMORY)).await?;
        commit(tx).await?;
        Ok(Old { jobs, tombstones })
    }

    /// Removes a tombstone.
    async fn remove(&self, id: Uuid) -> Result<(), StoreError> {
        let (mut tx, _) = self.begin().await?;
        on!(&mut tx, conn => {
            sqlx::query("DELETE FROM job_events WHERE job_id = $1").bind(id).execute(&mut **conn).await?;
            sqlx::query("DELETE FROM jobs WHERE id = $1 AND purged_at IS NOT NULL").bind(id).execute(&mut **conn).await?;
        });
        commit(tx).await
    }

    /// Moves SQLite's log into the database and empties it: until then it holds what was deleted. Without patience, because
    /// nothing depends on it: while somebody reads, it is left to SQLite, which uses the log anew from time to time.
    async fn wipe_log(&self) {
        let On::Sqlite(options) = &*self.options else { return };
        let options = options.clone().busy_timeout(Duration::ZERO);
        let wiped = async {
            let mut connection = SqliteConnection::connect_with(&options).await?;
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
            connection.close().await
        };
        if let Err(error) = wiped.await {
            tracing::debug!(%error, "Could not empty the database's log");
        }
    }
}

/// Takes the names away from the requests made by `cutoff`.
async fn release_old_keys(tx: &mut super::Tx, cutoff: DateTime<Utc>) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE jobs SET idempotency_key = NULL, idempotency_sha256 = NULL
             WHERE id IN (
                 SELECT id FROM jobs WHERE idempotency_key IS NOT NULL AND created_at <= $1 ORDER BY created_at LIMIT $2
             )",
        )
        .bind(cutoff)
        .bind(BATCH)
        .execute(&mut **conn)
        .await?;
    });
    Ok(())
}
