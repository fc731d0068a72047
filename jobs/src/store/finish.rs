//! An attempt ends: with a result, a failure, a cancellation, or to be made again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Failure, JobResult};
use serde_json::{Value, json};

use super::claim::due;
use super::job::next_turn;
use super::rows::to_json;
use super::running::has_room;
use super::{Change, Store, after, ended, on, to_small_count};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::job::AttemptFailure;
use crate::lease::{Lease, Policy, Requeued};
use crate::tally::{self, Ending};

/// How a job ends for good.
pub(super) enum End<'a> {
    Succeeded(&'a JobResult),
    Failed(&'a Failure),
    Canceled,
}

/// How a job waits for a worker again.
struct Wait {
    /// Its attempts so far.
    attempt: i64,
    /// Absent when the job was handed back.
    retry: Option<Retry>,
}

/// What follows an attempt that failed.
struct Retry {
    due: DateTime<Utc>,
    failed: AttemptFailure,
}

impl Store {
    /// Ends the job with its result. A request to cancel that comes too late changes nothing.
    pub(crate) async fn succeed(&self, lease: &Lease, result: &JobResult) -> Result<(), StoreError> {
        self.change(lease).await?.end(End::Succeeded(result)).await
    }

    /// Ends the job with a failure.
    pub(crate) async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<(), StoreError> {
        self.change(lease).await?.end(End::Failed(failure)).await
    }

    /// Ends the job as it was asked for.
    pub(crate) async fn confirm_cancel(&self, lease: &Lease) -> Result<(), StoreError> {
        self.change(lease).await?.end(End::Canceled).await
    }

    /// Lets the job wait for its next attempt, if it may have one.
    pub(crate) async fn requeue(
        &self,
        lease: &Lease,
        failure: &Failure,
        delay: Duration,
    ) -> Result<Requeued, StoreError> {
        let change = self.change(lease).await?;
        if change.cancel_requested {
            change.end(End::Canceled).await?;
            return Ok(Requeued::Canceled);
        }
        if !change.attempts_left {
            change.end(End::Failed(failure)).await?;
            return Ok(Requeued::Failed);
        }
        let (attempt, due) = (change.attempt, after(change.now, delay));
        let data = json!({ "attempt": attempt, "failure": failure, "nextAttemptAt": due });
        let wait = Wait { attempt, retry: Some(Retry { due, failed: failed(attempt, failure) }) };
        change.wait(wait, EventKind::JobRetrying, data).await?;
        Ok(Requeued::Retrying)
    }

    /// Lets the job wait for a service that limits our rate, unless it would wait too long. The attempt is not used up.
    pub(crate) async fn postpone(
        &self,
        lease: &Lease,
        failure: &Failure,
        delay: Duration,
        policy: &Policy,
    ) -> Result<Requeued, StoreError> {
        let change = self.change(lease).await?;
        if change.cancel_requested {
            change.end(End::Canceled).await?;
            return Ok(Requeued::Canceled);
        }
        let due = after(change.now, delay);
        if due > after(change.queued_at, policy.max_postponement) {
            change.end(End::Failed(failure)).await?;
            return Ok(Requeued::Failed);
        }
        let (failed, attempt) = (failed(change.attempt, failure), change.attempt - 1);
        let data = json!({ "attempt": attempt, "failure": failure, "nextAttemptAt": due });
        let wait = Wait { attempt, retry: Some(Retry { due, failed }) };
        change.wait(wait, EventKind::JobRetrying, data).await?;
        Ok(Requeued::Retrying)
    }

    /// Hands the job back: its attempt is not used up, and another worker may have it at once.
    pub(crate) async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let change = self.change(lease).await?;
        if change.cancel_requested {
            return change.end(End::Canceled).await;
        }
        let attempt = change.attempt - 1;
        change.wait(Wait { attempt, retry: None }, EventKind::JobQueued, json!({ "attempt": attempt })).await
    }
}

impl Change {
    /// Ends the job for good.
    pub(super) async fn end(mut self, end: End<'_>) -> Result<(), StoreError> {
        let attempt = self.attempt;
        let (status, kind, mut data) = match &end {
            End::Succeeded(result) => {
                let data = json!({ "attempt": attempt, "outcome": result.outcome, "verified": result.verified });
                ("succeeded", EventKind::JobSucceeded, data)
            }
            End::Failed(failure) => ("failed", EventKind::JobFailed, json!({ "attempt": attempt, "failure": failure })),
            End::Canceled => ("canceled", EventKind::JobCanceled, json!({ "attempt": attempt })),
        };
        let (result, failure, code) = match end {
            End::Succeeded(result) => (Some(result), None, result.outcome.as_str()),
            End::Failed(failure) => (None, Some(failure), failure.code.as_str()),
            End::Canceled => (None, None, ""),
        };
        let ending = Ending { outcome: status, code, queued_at: self.queued_at, ended_at: self.now };
        on!(&mut self.tx, conn => {
            sqlx::query(
                "UPDATE jobs
                 SET status = $3, finished_at = $4, result = $5, diff = $6, failure = $7,
                     lease_until = NULL, worker_id = NULL
                 WHERE id = $1 AND lease_epoch = $2 AND status = 'running'",
            )
            .bind(self.lease.job_id.as_uuid())
            .bind(self.lease.epoch)
            .bind(status)
            .bind(self.now)
            .bind(result.map(to_json))
            .bind(result.map(|result| result.diff.as_slice()))
            .bind(failure.map(to_json))
            .execute(&mut **conn)
            .await?;
        });
        // What is told of the end must not change when the job is run again.
        data["job"] = json!(ended::read(&mut self.tx, self.lease.job_id).await?);
        self.commit(kind, data).await?;
        tally::job_finished(&ending);
        Ok(())
    }

    /// Puts the job back among those that wait. One that has to wait before its next attempt has had its turn; one that is
    /// handed back has not. Its worker lives: workers lost before were not lost in a row.
    async fn wait(mut self, wait: Wait, kind: EventKind, data: Value) -> Result<(), StoreError> {
        let (due, failed) = wait.retry.map(|retry| (retry.due, to_json(&retry.failed))).unzip();
        on!(&mut self.tx, conn => {
            sqlx::query(concat!(
                "UPDATE jobs
                 SET status = 'queued', next_attempt_at = $3, attempt = $4, rescues = 0, lease_until = NULL, worker_id = NULL,
                     last_failure = $7,
                     worked_micros = worked_micros + ($5 - beat_micros),
                     turn = CASE WHEN $3 IS NULL THEN turn ELSE ",
                next_turn!("COALESCE(jobs.owner, '')", "$6"),
                "        END
                 WHERE id = $1 AND lease_epoch = $2 AND status = 'running'",
            ))
            .bind(self.lease.job_id.as_uuid())
            .bind(self.lease.epoch)
            .bind(due)
            .bind(wait.attempt)
            .bind(self.now.timestamp_micros())
            .bind(self.now)
            .bind(failed)
            .execute(&mut **conn)
            .await?;
        });
        self.commit(kind, data).await
    }
}

fn failed(attempt: i64, failure: &Failure) -> AttemptFailure {
    AttemptFailure { attempt: to_small_count(attempt), failure: failure.clone() }
}
