//! Counting what there is to do, and the workers there are.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::Priority;
use sqlx::FromRow;

use super::{Store, Tx, after, commit, on, to_bigint, to_count};
use crate::error::StoreError;
use crate::lease::{Policy, WorkerId};
use crate::stats::{QueueState, QueueStats, WebhookStats};
use crate::webhook::WebhookPolicy;

/// Waiting messages are counted no further: receivers may be away for weeks.
const MAX_PENDING: i64 = 100_000;

/// Jobs by state and priority, and since when the first of them could have been started. Each part reads one index.
const JOBS: &str = r#"
    SELECT CASE WHEN next_attempt_at > $1 THEN 'delayed' ELSE 'ready' END AS state, priority, COUNT(*) AS jobs,
        MIN(COALESCE(next_attempt_at, retried_at, created_at)) AS since
    FROM jobs WHERE status = 'queued'
    GROUP BY 1, 2
    UNION ALL
    SELECT 'running', priority, COUNT(*), NULL
    FROM jobs WHERE status = 'running'
    GROUP BY priority
    UNION ALL
    SELECT 'dead', priority, COUNT(*), NULL
    FROM jobs WHERE SUBSTR(failure, 1, 18) = '{"code":"poisoned"'
    GROUP BY priority"#;

/// Whether a message can be sent to anybody at `$1`; a receiver that has failed `$2` times is only probed.
const HAS_MESSAGES: &str = "
    SELECT EXISTS (
        SELECT 1 FROM webhooks AS w
        WHERE w.disabled_at IS NULL AND w.deleted_at IS NULL
          AND (w.consecutive_failures < $2 OR w.probe_at IS NULL OR w.probe_at <= $1)
          AND EXISTS (
              SELECT 1 FROM webhook_deliveries AS d
              WHERE d.webhook_id = w.id AND d.status = 'pending' AND d.due_at <= $1
          )
    )";

#[derive(FromRow)]
struct JobsRow {
    state: String,
    priority: String,
    jobs: i64,
    since: Option<DateTime<Utc>>,
}

#[derive(FromRow)]
struct WorkersRow {
    workers: i64,
    slots: i64,
    last_slots: Option<i64>,
}

impl Store {
    /// The queue and the workers as they are now.
    pub(crate) async fn queue_stats(&self, policy: &WebhookPolicy) -> Result<QueueStats, StoreError> {
        let (mut tx, now) = self.begin_reading().await?;
        let rows: Vec<JobsRow> = on!(&mut tx, conn => {
            sqlx::query_as(JOBS).bind(now).fetch_all(&mut **conn).await?
        });
        let workers = read_workers(&mut tx, now).await?;
        let has_messages = on!(&mut tx, conn => {
            sqlx::query_scalar(HAS_MESSAGES)
                .bind(now)
                .bind(i64::from(policy.breaker_failures))
                .fetch_one(&mut **conn)
                .await?
        });
        let mut jobs = BTreeMap::new();
        let mut ready_since = now;
        for row in rows {
            let state = read_state(&row.state)?;
            let priority: Priority = row.priority.parse().map_err(StoreError::damaged("priority"))?;
            jobs.insert((state, priority), to_count(row.jobs));
            if let (QueueState::Ready, Some(since)) = (state, row.since) {
                ready_since = ready_since.min(since);
            }
        }
        Ok(QueueStats {
            jobs,
            oldest_ready: (now - ready_since).to_std().unwrap_or(Duration::ZERO),
            workers: to_count(workers.workers),
            slots: to_count(workers.slots),
            last_slots: workers.last_slots.map(to_count),
            has_messages,
        })
    }

    /// What waits for receivers of webhooks.
    pub(crate) async fn webhook_stats(&self, policy: &WebhookPolicy) -> Result<WebhookStats, StoreError> {
        let (pending, open): (i64, i64) = on!(&self.read, pool => {
            sqlx::query_as(
                "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM webhook_deliveries WHERE status = 'pending' LIMIT $1) AS pending),
                    (SELECT COUNT(*) FROM webhooks
                     WHERE consecutive_failures >= $2 AND disabled_at IS NULL AND deleted_at IS NULL)",
            )
            .bind(MAX_PENDING)
            .bind(i64::from(policy.breaker_failures))
            .fetch_one(pool)
            .await?
        });
        Ok(WebhookStats { pending: to_count(pending), open_endpoints: to_count(open) })
    }

    /// Notes that a worker of so many slots lives; it counts as living for a lease from now on.
    pub(crate) async fn note_worker(&self, worker: &WorkerId, slots: u64, policy: &Policy) -> Result<(), StoreError> {
        let (mut tx, now) = self.begin().await?;
        on!(&mut tx, conn => {
            sqlx::query(
                "INSERT INTO workers (id, slots, alive_until) VALUES ($1, $2, $3)
                 ON CONFLICT (id) DO UPDATE SET slots = excluded.slots, alive_until = excluded.alive_until",
            )
            .bind(worker.as_str())
            .bind(to_bigint(slots))
            .bind(after(now, policy.lease))
            .execute(&mut **conn)
            .await?;
        });
        commit(tx).await
    }

    /// Notes that a worker has ended. Its slots are remembered: the next one may be like it.
    pub(crate) async fn note_worker_gone(&self, worker: &WorkerId) -> Result<(), StoreError> {
        let (mut tx, now) = self.begin().await?;
        on!(&mut tx, conn => {
            sqlx::query("UPDATE workers SET alive_until = $2 WHERE id = $1 AND alive_until > $2")
                .bind(worker.as_str())
                .bind(now)
                .execute(&mut **conn)
                .await?;
        });
        commit(tx).await
    }
}

async fn read_workers(tx: &mut Tx, now: DateTime<Utc>) -> Result<WorkersRow, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT COUNT(CASE WHEN alive_until > $1 THEN 1 END) AS workers,
                CAST(COALESCE(SUM(CASE WHEN alive_until > $1 THEN slots END), 0) AS BIGINT) AS slots,
                (SELECT slots FROM workers ORDER BY alive_until DESC LIMIT 1) AS last_slots
             FROM workers",
        )
        .bind(now)
        .fetch_one(&mut **conn)
        .await?
    }))
}

/// Forgets the workers that ended by `cutoff`, but for the last one.
pub(super) async fn forget_workers(tx: &mut Tx, cutoff: DateTime<Utc>) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "DELETE FROM workers WHERE alive_until <= $1 AND alive_until < (SELECT MAX(alive_until) FROM workers)",
        )
        .bind(cutoff)
        .execute(&mut **conn)
        .await?;
    });
    Ok(())
}

fn read_state(name: &str) -> Result<QueueState, StoreError> {
    let state = QueueState::ALL.into_iter().find(|state| state.as_str() == name);
    state.ok_or_else(|| StoreError::damaged("state of a job")(format!("`{name}` is none")))
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::super::On;
    use super::*;

    /// On Postgres the plan depends on the figures of the table, so a bench looks at the time it takes.
    #[tokio::test]
    async fn counting_reads_no_row_of_a_waiting_job() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&format!("sqlite:{}", folder.path().join("jobs.db").display())).await.expect("opened");
        store.migrate().await.expect("migrated");
        let On::Sqlite(pool) = &store.read else { unreachable!("it is SQLite") };
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {JOBS}")))
            .bind(Utc::now())
            .fetch_all(pool)
            .await
            .expect("a plan");
        let reads: Vec<&str> = plan.iter().map(|row| &*row.3).filter(|step| step.contains(" jobs")).collect();
        assert_eq!(reads.len(), 3, "{plan:?}");
        for (read, index) in
            reads.into_iter().zip(["COVERING INDEX jobs_waiting", "INDEX jobs_leases", "INDEX jobs_dead"])
        {
            assert!(read.contains(index), "{plan:?}");
        }
    }
}
