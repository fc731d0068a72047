//! A worker keeps its jobs.
//!
//! All of them with one statement: a worker with a thousand jobs beats as easily as one with a single job.

use std::collections::HashMap;

use domain::JobId;
use sqlx::QueryBuilder;
use uuid::Uuid;

use super::{On, Store, after, commit, on};
use crate::error::StoreError;
use crate::lease::{Heartbeat, Lease, Policy};

/// Most leases in one statement: both databases bound the number of values that one may bind.
const BATCH: usize = 1_000;

/// Running jobs with the epoch of their lease, and whether their end has been asked for.
type Running = Vec<(Uuid, i64, bool)>;

/// Adds `(id, lease_epoch) IN (…)` with these leases.
macro_rules! push_leases {
    ($statement:expr, $leases:expr) => {
        $statement.push("(id, lease_epoch) IN (");
        $statement.push_values($leases, |mut row, lease| {
            row.push_bind(lease.job_id.as_uuid()).push_bind(lease.epoch);
        });
        $statement.push(")");
    };
}

impl Store {
    /// Keeps each of the jobs for another lease from now on, and says of each what its worker must know, in their order.
    ///
    /// A row that somebody else holds locked at this moment is passed over: one job must not hold up the others.
    pub(crate) async fn heartbeat(&self, leases: &[Lease], policy: &Policy) -> Result<Vec<Heartbeat>, StoreError> {
        let mut answers = Vec::with_capacity(leases.len());
        for leases in leases.chunks(BATCH) {
            let kept = by_lease(self.renew(leases, policy).await?);
            let others: Vec<_> = leases.iter().copied().filter(|lease| !kept.contains_key(lease)).collect();
            let others = if others.is_empty() { HashMap::new() } else { by_lease(self.running(&others).await?) };
            answers.extend(leases.iter().map(|lease| match (kept.get(lease), others.get(lease)) {
                (Some(true), _) | (None, Some(true)) => Heartbeat::CancelRequested,
                (Some(false), _) => Heartbeat::Held,
                (None, Some(false)) => Heartbeat::Delayed,
                (None, None) => Heartbeat::Lost,
            }));
        }
        Ok(answers)
    }

    /// What the worker of each of the jobs must know, in their order, without keeping them: a read, cheap enough for every
    /// second.
    pub(crate) async fn check(&self, leases: &[Lease]) -> Result<Vec<Heartbeat>, StoreError> {
        let mut answers = Vec::with_capacity(leases.len());
        for leases in leases.chunks(BATCH) {
            let running = by_lease(self.running(leases).await?);
            answers.extend(leases.iter().map(|lease| match running.get(lease) {
                Some(true) => Heartbeat::CancelRequested,
                Some(false) => Heartbeat::Held,
                None => Heartbeat::Lost,
            }));
        }
        Ok(answers)
    }

    async fn renew(&self, leases: &[Lease], policy: &Policy) -> Result<Running, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let skip_locked = match tx {
            On::Postgres(_) => " FOR UPDATE SKIP LOCKED",
            On::Sqlite(_) => "",
        };
        let micros = now.timestamp_micros();
        let kept = on!(&mut tx, conn => {
            let mut update = QueryBuilder::new("UPDATE jobs SET lease_until = ");
            update.push_bind(after(now, policy.lease));
            update.push(", worked_micros = worked_micros + (").push_bind(micros).push(" - beat_micros), beat_micros = ");
            update.push_bind(micros);
            update.push(" WHERE id IN (SELECT id FROM jobs WHERE status = 'running' AND ");
            push_leases!(update, leases);
            update.push(skip_locked).push(") RETURNING id, lease_epoch, cancel_requested_at IS NOT NULL");
            update.build_query_as().fetch_all(&mut **conn).await?
        });
        commit(tx).await?;
        Ok(kept)
    }

    async fn running(&self, leases: &[Lease]) -> Result<Running, StoreError> {
        Ok(on!(&self.read, pool => {
            let mut select =
                QueryBuilder::new("SELECT id, lease_epoch, cancel_requested_at IS NOT NULL FROM jobs WHERE status = 'running' AND ");
            push_leases!(select, leases);
            select.build_query_as().fetch_all(pool).await?
        }))
    }
}

/// Whether the end has been asked for, by lease.
fn by_lease(running: Running) -> HashMap<Lease, bool> {
    let leases = running.into_iter();
    leases.map(|(id, epoch, cancel)| (Lease { job_id: JobId::from(id), epoch }, cancel)).collect()
}
