//! A job is accepted, and looked at.

use chrono::{DateTime, Utc};
use domain::{Cost, JobId, JobStatus, Priority, TokenUsage};
use serde_json::json;

use super::rows::{JobRow, to_json};
use super::webhook::attach_webhook;
use super::{Store, commit, event, on};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::job::{Job, NewJob};
use crate::lease::Policy;

/// The turn of a job that an owner puts in the queue: after the owner's last one, and not before the one that is next.
///
/// So owners with many jobs and owners with one take turns, and nobody saves turns up by having no job. Two submissions
/// at the same moment may get the same turn: an owner then starts as many jobs in that round.
macro_rules! next_turn {
    ($owner:literal, $now:literal) => {
        concat!(
            "(SELECT MAX(turn) FROM (
                 SELECT MAX(turn) + 1 AS turn FROM jobs WHERE status = 'queued' AND COALESCE(owner, '') = ",
            $owner,
            "    UNION ALL SELECT MIN(turn) FROM jobs
                           WHERE status = 'queued' AND (next_attempt_at IS NULL OR next_attempt_at <= ",
            $now,
            ")
                 UNION ALL SELECT 0) AS turns)"
        )
    };
}
pub(super) use next_turn;

/// A job's place among its owner's, the smallest first. That all jobs age at the same pace makes it a constant.
pub(super) fn rank(priority: Priority, now: DateTime<Utc>, policy: &Policy) -> i64 {
    let advance = policy.ageing.saturating_mul(priority.level());
    now.timestamp_micros().saturating_sub(i64::try_from(advance.as_micros()).unwrap_or(i64::MAX))
}

impl Store {
    /// Stores a new job.
    pub(crate) async fn submit(&self, id: JobId, job: NewJob, policy: &Policy) -> Result<Job, StoreError> {
        let NewJob { spec, owner, webhook, trace_context } = job;
        let max_attempts = policy.max_attempts;
        let (mut tx, now) = self.begin().await?;
        on!(&mut tx, conn => {
            sqlx::query(concat!(
                "INSERT INTO jobs (id, spec, status, attempt, max_attempts, rescues, lease_epoch, version,
                                   input_tokens, cache_creation_tokens, cache_read_tokens, output_tokens, cost_nanos,
                                   created_at, owner, priority, rank, trace_context, turn)
                 VALUES ($1, $2, 'queued', 0, $3, 0, 0, 1, 0, 0, 0, 0, 0, $4, $5, $6, $7, $8, ",
                next_turn!("COALESCE($5, '')", "$4"),
                ")",
            ))
            .bind(id.as_uuid())
            .bind(to_json(&spec))
            .bind(i64::from(max_attempts))
            .bind(now)
            .bind(owner.as_deref())
            .bind(spec.priority.as_str())
            .bind(rank(spec.priority, now, policy))
            .bind(&trace_context)
            .execute(&mut **conn)
            .await?;
        });
        if let Some(webhook) = webhook {
            attach_webhook(&mut tx, id, owner.as_deref(), &webhook, now).await?;
        }
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
            trace_context,
        })
    }

    /// The job as it stands, if it is this owner's; without an owner, whoever's it is.
    pub(crate) async fn get(&self, owner: Option<&str>, id: JobId) -> Result<Option<Job>, StoreError> {
        let row: Option<JobRow> = on!(&self.read, pool => {
            sqlx::query_as(
                "SELECT id, spec, status, attempt, max_attempts, rescues, version, created_at, started_at, finished_at,
                        next_attempt_at, cancel_requested_at, result, failure, input_tokens, cache_creation_tokens,
                        cache_read_tokens, output_tokens, cost_nanos, trace_context
                 FROM jobs
                 WHERE id = $1 AND ($2 IS NULL OR owner = $2)",
            )
            .bind(id.as_uuid())
            .bind(owner)
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
