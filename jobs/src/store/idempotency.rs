//! A request that is sent twice makes one job.
//!
//! The request's name is written in the INSERT that makes the job, under a unique index. So there is no lock and no time in
//! between: of two requests at the same moment one inserts and the other finds, and a client that never got its answer
//! asks again and finds too.

use domain::JobId;
use uuid::Uuid;

use super::job::{Entry, accepted};
use super::{Store, Tx, before, commit, on};
use crate::error::StoreError;
use crate::job::{Idempotency, NewJob, Submission};
use crate::lease::Policy;

impl Store {
    /// Stores a new job, unless the same request made one before.
    pub(crate) async fn submit_once(
        &self,
        id: JobId,
        job: NewJob,
        idempotency: &Idempotency,
        policy: &Policy,
    ) -> Result<Submission, StoreError> {
        let owner = job.owner.as_deref().unwrap_or_default();
        let (id, body_sha256) = loop {
            let (mut tx, now) = self.begin().await?;
            let new = Entry { id, job: &job, idempotency: Some(idempotency), now };
            release_old_key(&mut tx, owner, &idempotency.key, before(now, policy.idempotency)).await?;
            if self.insert(&mut tx, &new, policy).await? {
                let accepted = accepted(id, job, now, policy);
                commit(tx).await?;
                return Ok(Submission::Accepted(accepted));
            }
            // Gone only if it got too old since: then the name is free.
            if let Some(earlier) = find(&mut tx, owner, &idempotency.key).await? {
                break earlier;
            }
        };
        if body_sha256 != idempotency.body_sha256 {
            return Ok(Submission::KeyReused);
        }
        let job = self.get(None, JobId::from(id), policy).await?;
        job.map(Submission::Replayed).ok_or(StoreError::Purged)
    }
}

/// The job that a request of this name made, and the hash of the request.
async fn find(tx: &mut Tx, owner: &str, key: &str) -> Result<Option<(Uuid, String)>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT id, idempotency_sha256 FROM jobs
             WHERE COALESCE(owner, '') = $1 AND idempotency_key = $2",
        )
        .bind(owner)
        .bind(key)
        .fetch_optional(&mut **conn)
        .await?
    }))
}

/// Takes the name away from a job that is as old as `cutoff`.
async fn release_old_key(
    tx: &mut Tx,
    owner: &str,
    key: &str,
    cutoff: chrono::DateTime<chrono::Utc>,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE jobs SET idempotency_key = NULL, idempotency_sha256 = NULL
             WHERE COALESCE(owner, '') = $1 AND idempotency_key = $2 AND created_at <= $3",
        )
        .bind(owner)
        .bind(key)
        .bind(cutoff)
        .execute(&mut **conn)
        .await?;
    });
    Ok(())
}
