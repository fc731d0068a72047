//! A job is accepted, and looked at.

use chrono::{DateTime, Utc};
use domain::{Cost, JobId, JobStatus, Priority, TokenUsage};

use super::claim::due;
use super::quota::{Admission, max_running};
use super::rows::{JobRow, job_columns, to_json};
use super::running::has_room;
use super::webhook::attach_webhook;
use super::{On, Store, Tx, commit, on, to_count};
use crate::error::StoreError;
use crate::job::{Idempotency, Job, NewJob};
use crate::lease::Policy;

/// The turn of a job that an owner puts in the queue: after the owner's last one, and not before the one that is next. Who
/// is passed over because enough of their jobs run is not next, unless there is nobody else.
///
/// So owners with many jobs and owners with one take turns, and nobody saves turns up by having no job. An owner's
/// submissions wait for each other, as each must see the turn of the one before; those without an owner don't.
macro_rules! next_turn {
    ($owner:literal, $now:literal) => {
        concat!(
            "(SELECT MAX(turn) FROM (
                 SELECT MAX(turn) + 1 AS turn FROM jobs WHERE status = 'queued' AND COALESCE(owner, '') = ",
            $owner,
            "    UNION ALL SELECT COALESCE(
                     (SELECT MIN(turn) FROM jobs WHERE ",
            due!($now),
            "        AND ",
            has_room!(),
            "        ),
                     (SELECT MIN(turn) FROM jobs WHERE ",
            due!($now),
            "        ))
                 UNION ALL SELECT 0) AS turns)"
        )
    };
}
pub(super) use next_turn;

/// A new job, unless the name of its request is taken.
macro_rules! insert {
    () => {
        concat!(
            "INSERT INTO jobs (id, spec, status, attempt, max_attempts, rescues, lease_epoch, version,
                               input_tokens, cache_creation_tokens, cache_read_tokens, output_tokens, cost_nanos,
                               created_at, owner, priority, rank, repo_url, idempotency_key, idempotency_sha256,
                               trace_context, max_running, turn)
             VALUES ($1, $2, 'queued', 0, $3, 0, 0, 1, 0, 0, 0, 0, 0, $4, $5, $6, $7, $8, $9, $10, $11, $12, ",
            next_turn!("COALESCE($5, '')", "$4"),
            ")
             ON CONFLICT (COALESCE(owner, ''), idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING"
        )
    };
}

/// With its first event: one trip to the database.
const INSERT_ON_POSTGRES: &str = concat!(
    "WITH job AS (",
    insert!(),
    " RETURNING id)
     INSERT INTO job_events (job_id, seq, kind, data, at) SELECT id, 1, 'job.queued', '{}', $4 FROM job"
);
/// The same: SQLite takes several statements at a time, but none within another one.
const INSERT_ON_SQLITE: &str = concat!(
    insert!(),
    ";
     INSERT INTO job_events (job_id, seq, kind, data, at) SELECT $1, 1, 'job.queued', '{}', $4 WHERE changes() > 0"
);

/// A job's place among its owner's, the smallest first. That all jobs age at the same pace makes it a constant.
pub(super) fn rank(priority: Priority, now: DateTime<Utc>, policy: &Policy) -> i64 {
    let advance = policy.ageing.saturating_mul(priority.level());
    now.timestamp_micros().saturating_sub(i64::try_from(advance.as_micros()).unwrap_or(i64::MAX))
}

impl Store {
    /// Stores a new job.
    pub(crate) async fn submit(&self, id: JobId, job: NewJob, policy: &Policy) -> Result<Job, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let new = Entry { id, job: &job, idempotency: None, now };
        self.insert(&mut tx, &new, policy).await?;
        let accepted = accepted(id, job, now, policy);
        commit(tx).await?;
        Ok(accepted)
    }

    /// The job as it stands, if it is this owner's; without an owner, whoever's it is.
    pub(crate) async fn get(&self, owner: Option<&str>, id: JobId, policy: &Policy) -> Result<Option<Job>, StoreError> {
        let row: Option<JobRow> = on!(&self.read, pool => {
            sqlx::query_as(concat!(
                "SELECT ",
                job_columns!(),
                " FROM jobs
                 WHERE id = $1 AND ($2 IS NULL OR owner = $2)",
            ))
            .bind(id.as_uuid())
            .bind(owner)
            .fetch_optional(pool)
            .await?
        });
        row.map(|row| row.into_job(policy)).transpose()
    }

    /// The number of the job's last event.
    pub(crate) async fn version(&self, id: JobId) -> Result<Option<u64>, StoreError> {
        let version: Option<i64> = on!(&self.read, pool => {
            sqlx::query_scalar("SELECT version FROM jobs WHERE id = $1").bind(id.as_uuid()).fetch_optional(pool).await?
        });
        Ok(version.map(to_count))
    }

    /// The diff of a job that succeeded.
    pub(crate) async fn diff(&self, id: JobId) -> Result<Option<Vec<u8>>, StoreError> {
        let diff: Option<Option<Vec<u8>>> = on!(&self.read, pool => {
            sqlx::query_scalar("SELECT diff FROM jobs WHERE id = $1").bind(id.as_uuid()).fetch_optional(pool).await?
        });
        Ok(diff.flatten())
    }
}

impl Store {
    /// Writes a new job with its first event. Says no when the name of its request is taken: the transaction must then not
    /// be committed.
    pub(super) async fn insert(&self, tx: &mut Tx, new: &Entry<'_>, policy: &Policy) -> Result<bool, StoreError> {
        let NewJob { spec, owner, webhook, quota, trace_context } = new.job;
        let admission = Admission { owner: owner.as_deref(), quota: quota.as_ref(), is_new: true, now: new.now };
        let used = admission.count(tx).await?;
        let insert = match tx {
            On::Postgres(_) => INSERT_ON_POSTGRES,
            On::Sqlite(_) => INSERT_ON_SQLITE,
        };
        let rows_added = on!(tx, conn => {
            sqlx::query(insert)
                .bind(new.id.as_uuid())
                .bind(to_json(spec))
                .bind(i64::from(spec.max_attempts.unwrap_or(policy.max_attempts)))
                .bind(new.now)
                .bind(owner)
                .bind(spec.priority.as_str())
                .bind(rank(spec.priority, new.now, policy))
                .bind(spec.repo_url.to_string())
                .bind(new.idempotency.map(|idempotency| &idempotency.key))
                .bind(new.idempotency.map(|idempotency| &idempotency.body_sha256))
                .bind(trace_context)
                .bind(max_running(quota.as_ref()))
                .execute(&mut **conn)
                .await?
                .rows_affected()
        });
        if rows_added == 0 {
            return Ok(false);
        }
        admission.check(tx, used).await?;
        self.backlog.enter(tx, policy.max_waiting_jobs).await?;
        for (name, value) in &spec.metadata {
            on!(tx, conn => {
                sqlx::query("INSERT INTO job_metadata (job_id, name, value) VALUES ($1, $2, $3)")
                    .bind(new.id.as_uuid())
                    .bind(name)
                    .bind(value)
                    .execute(&mut **conn)
                    .await?;
            });
        }
        if let Some(webhook) = webhook {
            attach_webhook(tx, new.id, owner.as_deref(), webhook, new.now).await?;
        }
        Ok(true)
    }
}

/// A job on its way into the tables.
pub(super) struct Entry<'a> {
    pub(super) id: JobId,
    pub(super) job: &'a NewJob,
    pub(super) idempotency: Option<&'a Idempotency>,
    pub(super) now: DateTime<Utc>,
}

/// The job that was written.
pub(super) fn accepted(id: JobId, job: NewJob, now: DateTime<Utc>, policy: &Policy) -> Job {
    Job {
        id,
        max_attempts: job.spec.max_attempts.unwrap_or(policy.max_attempts),
        spec: job.spec,
        trace_context: job.trace_context,
        status: JobStatus::Queued,
        attempt: 0,
        rescues: 0,
        version: 1,
        created_at: now,
        started_at: None,
        finished_at: None,
        next_attempt_at: None,
        expires_at: None,
        cancel_requested_at: None,
        result: None,
        failure: None,
        last_failure: None,
        open_stage: None,
        usage: TokenUsage::default(),
        cost: Cost::ZERO,
    }
}
