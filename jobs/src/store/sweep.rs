//! What no worker does for a job any more: found by looking, now and then, from any process.

use domain::{Failure, FailureCode, JobId};
use sqlx::FromRow;
use uuid::Uuid;

use super::claim::{claimable, due, orphaned};
use super::finish::End;
use super::running::has_room;
use super::{Store, on};
use crate::error::StoreError;
use crate::lease::{Lease, Policy};

/// Rows that one sweep looks at; the next one finds the rest.
const BATCH: i64 = 100;

/// What a sweep found.
pub(crate) struct Found {
    hopeless: Vec<Hopeless>,
    /// Jobs that wait for a worker.
    pub(crate) due: Vec<JobId>,
}

/// What a sweep did.
#[derive(Default)]
pub(crate) struct Ended {
    pub(crate) ids: Vec<JobId>,
    pub(crate) poisoned: usize,
    pub(crate) canceled: usize,
}

/// A job whose worker was lost and that no other worker may have.
#[derive(FromRow)]
struct Hopeless {
    id: Uuid,
    lease_epoch: i64,
}

impl Store {
    /// Ends the jobs that only their end is before.
    pub(crate) async fn end_hopeless(&self, found: &Found, policy: &Policy) -> Result<Ended, StoreError> {
        let mut ended = Ended::default();
        for job in &found.hopeless {
            let lease = Lease { job_id: JobId::from(job.id), epoch: job.lease_epoch };
            let change = match self.change_expired(&lease).await {
                Ok(change) => change,
                // Another process was faster, or the worker is back.
                Err(StoreError::LeaseLost) => continue,
                Err(error) => return Err(error),
            };
            if change.cancel_requested {
                change.end(End::Canceled).await?;
                ended.canceled += 1;
            } else {
                change.end(End::Failed(&poisoned(policy))).await?;
                ended.poisoned += 1;
            }
            ended.ids.push(lease.job_id);
        }
        Ok(ended)
    }

    /// Looks for what nobody does anything for.
    pub(crate) async fn look_around(&self, policy: &Policy) -> Result<Found, StoreError> {
        let (mut tx, now, lost_by) = self.begin_search(policy).await?;
        let hopeless = on!(&mut tx, conn => {
            sqlx::query_as(
                "SELECT id, lease_epoch FROM jobs
                 WHERE status IN ('queued', 'running') AND status = 'running' AND lease_until <= $1
                   AND (cancel_requested_at IS NOT NULL OR rescues + 1 >= $2)
                 ORDER BY id
                 LIMIT $3",
            )
            .bind(lost_by)
            .bind(i64::from(policy.max_lost_workers))
            .bind(BATCH)
            .fetch_all(&mut **conn)
            .await?
        });
        let due: Vec<Uuid> = on!(&mut tx, conn => {
            sqlx::query_scalar(concat!("SELECT id FROM jobs WHERE ", claimable!("$4", "$2"), " ORDER BY id LIMIT $3"))
                .bind(now)
                .bind(i64::from(policy.max_lost_workers))
                .bind(BATCH)
                .bind(lost_by)
                .fetch_all(&mut **conn)
                .await?
        });
        Ok(Found { hopeless, due: due.into_iter().map(JobId::from).collect() })
    }
}

fn poisoned(policy: &Policy) -> Failure {
    let lost = policy.max_lost_workers;
    Failure::new(
        FailureCode::Poisoned,
        format!("the job was given up after {lost} workers were lost while they ran it"),
    )
}
