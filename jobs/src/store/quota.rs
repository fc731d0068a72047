//! Whether there is room for one more job, counted in the transaction that puts it in the queue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::Cost;

use super::{Tx, on, to_bigint, to_count};
use crate::error::StoreError;
use crate::quota::{Quota, QuotaBound, QuotaExceeded};

const DAY_SECONDS: i64 = 86_400;

/// When to ask again while too many jobs wait: nobody knows how soon workers get on.
const RETRY_WHILE_FULL: Duration = Duration::from_mins(1);

/// How many jobs of the owner may run at the same time; 0 is no bound.
pub(super) fn max_running(quota: Option<&Quota>) -> i64 {
    quota.map_or(0, |quota| to_bigint(quota.running_jobs))
}

/// A job that is put in the queue, in a transaction that is not committed yet.
pub(super) struct Admission<'a> {
    pub(super) owner: Option<&'a str>,
    pub(super) quota: Option<&'a Quota>,
    /// Whether it is one more job, or one that was there before.
    pub(super) is_new: bool,
    pub(super) now: DateTime<Utc>,
}

/// What an owner has used today, this job included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    jobs: i64,
    cost_nanos: i64,
}

impl Admission<'_> {
    /// Counts the job for its owner. From here to the end of the transaction the owner's row is locked: who counts next
    /// sees this job, and takes the turn after it.
    pub(super) async fn count(&self, tx: &mut Tx) -> Result<Option<Used>, StoreError> {
        let Some(owner) = self.owner else { return Ok(None) };
        let (jobs, cost_nanos) = add_usage(tx, owner, i64::from(self.is_new), Cost::ZERO, self.now).await?;
        Ok(Some(Used { jobs, cost_nanos }))
    }

    /// Judges a job that is counted and in the queue.
    ///
    /// # Errors
    /// [`StoreError::QuotaExceeded`] when it is one too many: the transaction must then not be committed.
    pub(super) async fn check(&self, tx: &mut Tx, used: Option<Used>) -> Result<(), StoreError> {
        let (Some(owner), Some(quota), Some(used)) = (self.owner, self.quota, used) else { return Ok(()) };
        let Used { jobs, cost_nanos } = used;
        let tomorrow = Duration::from_secs(to_count(DAY_SECONDS - self.now.timestamp().rem_euclid(DAY_SECONDS)));
        let is_beyond = |bound: u64, count: i64| bound > 0 && to_count(count) > bound;
        if self.is_new && is_beyond(quota.jobs_per_day, jobs) {
            return Err(exceeded(QuotaBound::JobsPerDay(quota.jobs_per_day), tomorrow));
        }
        if quota.cost_per_day > Cost::ZERO && Cost::from_nanos(cost_nanos) >= quota.cost_per_day {
            return Err(exceeded(QuotaBound::CostPerDay(quota.cost_per_day), tomorrow));
        }
        if quota.queued_jobs > 0 && is_beyond(quota.queued_jobs, count_queued(tx, owner).await?) {
            return Err(exceeded(QuotaBound::QueuedJobs(quota.queued_jobs), RETRY_WHILE_FULL));
        }
        Ok(())
    }
}

/// Adds to what an owner has used today. Gives the sums.
pub(super) async fn add_usage(
    tx: &mut Tx,
    owner: &str,
    jobs: i64,
    cost: Cost,
    now: DateTime<Utc>,
) -> Result<(i64, i64), StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "INSERT INTO owner_usage (owner, day, jobs, cost_nanos) VALUES ($1, $2, $3, $4)
             ON CONFLICT (owner, day) DO UPDATE
             SET jobs = owner_usage.jobs + excluded.jobs, cost_nanos = owner_usage.cost_nanos + excluded.cost_nanos
             RETURNING jobs, cost_nanos",
        )
        .bind(owner)
        .bind(now.timestamp().div_euclid(DAY_SECONDS))
        .bind(jobs)
        .bind(cost.as_nanos())
        .fetch_one(&mut **conn)
        .await?
    }))
}

async fn count_queued(tx: &mut Tx, owner: &str) -> Result<i64, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_scalar("SELECT COUNT(*) FROM jobs WHERE status = 'queued' AND COALESCE(owner, '') = $1")
            .bind(owner)
            .fetch_one(&mut **conn)
            .await?
    }))
}

/// How many jobs of all owners wait. A bound against floods need not be exact: it is counted anew once a second, and
/// between two counts each process adds what it puts in the queue.
#[derive(Debug, Clone, Default)]
pub(super) struct Backlog(Arc<Mutex<Option<Count>>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    at: Instant,
    waiting: u64,
}

impl Backlog {
    const RECOUNT: Duration = Duration::from_secs(1);

    /// Counts the job that `tx` has just put in the queue.
    ///
    /// # Errors
    /// [`StoreError::QuotaExceeded`] when it is beyond the `max_waiting` that there may be.
    pub(super) async fn enter(&self, tx: &mut Tx, max_waiting: u64) -> Result<(), StoreError> {
        let has_entered = if let Some(has_entered) = self.enter_known(max_waiting) {
            has_entered
        } else {
            let waiting = count_waiting(tx, max_waiting.saturating_add(1)).await?;
            *self.lock() = Some(Count { at: Instant::now(), waiting: waiting.min(max_waiting) });
            waiting <= max_waiting
        };
        if has_entered { Ok(()) } else { Err(exceeded(QuotaBound::WaitingJobs(max_waiting), RETRY_WHILE_FULL)) }
    }

    /// Adds one to a count that is fresh, if there is room; none when it is time to count anew.
    fn enter_known(&self, max_waiting: u64) -> Option<bool> {
        let mut known = self.lock();
        let count = known.as_mut().filter(|count| count.at.elapsed() < Self::RECOUNT)?;
        let has_room = count.waiting < max_waiting;
        count.waiting += u64::from(has_room);
        Some(has_room)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts no further than `max`.
async fn count_waiting(tx: &mut Tx, max: u64) -> Result<u64, StoreError> {
    let count: i64 = on!(tx, conn => {
        sqlx::query_scalar("SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE status = 'queued' LIMIT $1) AS waiting")
            .bind(to_bigint(max))
            .fetch_one(&mut **conn)
            .await?
    });
    Ok(to_count(count))
}

fn exceeded(bound: QuotaBound, retry_after: Duration) -> StoreError {
    StoreError::QuotaExceeded(QuotaExceeded { bound, retry_after })
}
