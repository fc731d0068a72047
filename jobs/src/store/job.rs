//! A job is accepted, and looked at.

use domain::{Cost, JobId, JobSpec, JobStatus, TokenUsage};
use serde_json::json;

use super::rows::{JobRow, to_json};
use super::{Store, commit, event, on};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::job::Job;

impl Store {
    /// Stores a new job.
    pub(crate) async fn submit(&self, spec: JobSpec, max_attempts: u32) -> Result<Job, StoreError> {
        let id = JobId::new();
        let (mut tx, now) = self.begin().await?;
        on!(&mut tx, conn => {
            sqlx::query(
                "INSERT INTO jobs (id, spec, status, attempt, max_attempts, rescues, lease_epoch, version,
                                   input_tokens, cache_creation_tokens, cache_read_tokens, output_tokens, cost_nanos,
                                   created_at)
                 VALUES ($1, $2, 'queued', 0, $3, 0, 0, 1, 0, 0, 0, 0, 0, $4)",
            )
            .bind(id.as_uuid())
            .bind(to_json(&spec))
            .bind(i64::from(max_attempts))
            .bind(now)
            .execute(&mut **conn)
            .await?;
        });
        event::append(&mut tx, id, 1, EventKind::JobQueued, &json!({}), now).await?;
        commit(tx).await?;
        Ok(Job {
            id,
            spec,
            status: JobStatus::Queued,
            attempt: 0,
            max_attempts,
            rescues: 0,
            version: 1,
            created_at: now,
            started_at: None,
            finished_at: None,
            next_attempt_at: None,
            cancel_requested_at: None,
            result: None,
            failure: None,
            usage: TokenUsage::default(),
            cost: Cost::ZERO,
        })
    }

    /// The job as it stands.
    pub(crate) async fn get(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let row: Option<JobRow> = on!(&self.read, pool => {
            sqlx::query_as(
                "SELECT id, spec, status, attempt, max_attempts, rescues, version, created_at, started_at, finished_at,
                        next_attempt_at, cancel_requested_at, result, failure, input_tokens, cache_creation_tokens,
                        cache_read_tokens, output_tokens, cost_nanos
                 FROM jobs
                 WHERE id = $1",
            )
            .bind(id.as_uuid())
            .fetch_optional(pool)
            .await?
        });
        row.map(Job::try_from).transpose()
    }

    /// The diff of a job that succeeded.
    pub(crate) async fn diff(&self, id: JobId) -> Result<Option<Vec<u8>>, StoreError> {
        let diff: Option<Option<Vec<u8>>> = on!(&self.read, pool => {
            sqlx::query_scalar("SELECT diff FROM jobs WHERE id = $1").bind(id.as_uuid()).fetch_optional(pool).await?
        });
        Ok(diff.flatten())
    }
}
