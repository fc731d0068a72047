//! How attempts and jobs end, and begin anew: `store/finish.rs`, `cancel.rs`, `retry.rs` and `sweep.rs`.

use domain::{FailureCode, JobStatus};
use jobs::{Cancellation, EventKind, Requeued, Retrial};

use super::{Job, Lease, LeaseLost, Model, STAGES, Time};
use crate::defects::Defect;

/// What the attempts fail with.
const FAILURE: FailureCode = FailureCode::RepoUnreachable;

/// What a look for lost jobs found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub hopeless: Vec<Lease>,
    pub due: usize,
}

impl Model {
    pub fn succeed(&mut self, lease: Lease) -> Result<(), LeaseLost> {
        self.fence_of_the_end(lease)?;
        self.end(lease.job, JobStatus::Succeeded, EventKind::JobSucceeded, None);
        Ok(())
    }

    pub fn fail(&mut self, lease: Lease) -> Result<(), LeaseLost> {
        self.fence_of_the_end(lease)?;
        self.end(lease.job, JobStatus::Failed, EventKind::JobFailed, Some(FAILURE));
        Ok(())
    }

    pub fn confirm_cancel(&mut self, lease: Lease) -> Result<(), LeaseLost> {
        self.fence_of_the_end(lease)?;
        self.end(lease.job, JobStatus::Canceled, EventKind::JobCanceled, None);
        Ok(())
    }

    pub fn requeue(&mut self, lease: Lease, delay: Time) -> Result<Requeued, LeaseLost> {
        self.fence(lease)?;
        let (job, due) = (&mut self.jobs[lease.job], self.now + delay);
        if job.is_cancel_requested {
            return self.confirm_cancel(lease).map(|()| Requeued::Canceled);
        }
        if job.attempt >= self.rules.max_attempts {
            return self.fail(lease).map(|()| Requeued::Failed);
        }
        if self.defect == Some(Defect::AttemptCountedAfterTheWork) {
            job.attempt += 1;
        }
        self.wait_until(lease.job, Some(due), EventKind::JobRetrying);
        Ok(Requeued::Retrying)
    }

    pub fn postpone(&mut self, lease: Lease, delay: Time) -> Result<Requeued, LeaseLost> {
        self.fence(lease)?;
        let (job, due) = (&mut self.jobs[lease.job], self.now + delay);
        if job.is_cancel_requested {
            return self.confirm_cancel(lease).map(|()| Requeued::Canceled);
        }
        if due > job.queued_at + self.rules.max_postponement {
            return self.fail(lease).map(|()| Requeued::Failed);
        }
        job.attempt = job.attempt.saturating_sub(1);
        self.wait_until(lease.job, Some(due), EventKind::JobRetrying);
        Ok(Requeued::Retrying)
    }

    pub fn release(&mut self, lease: Lease) -> Result<(), LeaseLost> {
        self.fence(lease)?;
        let job = &mut self.jobs[lease.job];
        if job.is_cancel_requested {
            return self.confirm_cancel(lease);
        }
        job.attempt = job.attempt.saturating_sub(1);
        self.wait_until(lease.job, None, EventKind::JobQueued);
        Ok(())
    }

    pub fn cancel(&mut self, number: usize) -> Cancellation {
        let job = &mut self.jobs[number];
        let (kind, cancellation) = match job.status {
            JobStatus::Queued => {
                job.status = JobStatus::Canceled;
                job.next_attempt_at = None;
                (EventKind::JobCanceled, Cancellation::Canceled)
            }
            JobStatus::Running if job.is_cancel_requested => return Cancellation::Requested,
            JobStatus::Running => (EventKind::JobCancelRequested, Cancellation::Requested),
            over => return Cancellation::AlreadyOver(over),
        };
        job.is_cancel_requested = true;
        self.commit(number, kind, None);
        cancellation
    }

    /// Opens a job that is over again, without the outputs from the stage `from` on.
    pub fn retry(&mut self, number: usize, from: Option<usize>) -> Retrial {
        let (now, are_epochs_reset) = (self.now, self.has(Defect::RetryResetsTheEpoch));
        let job = &mut self.jobs[number];
        if !job.status.is_terminal() {
            let is_the_same = job.is_retried && job.retried_from == from;
            return if is_the_same { Retrial::AlreadyRetried } else { Retrial::NotOver(job.status) };
        }
        *job = Job {
            status: JobStatus::Queued,
            attempt: 0,
            rescues: 0,
            epoch: if are_epochs_reset { 0 } else { job.epoch },
            is_cancel_requested: false,
            is_retried: true,
            retried_from: from,
            queued_at: now,
            failure: None,
            events: std::mem::take(&mut job.events),
            calls: std::mem::take(&mut job.calls),
            ..*job
        };
        for stage in from.unwrap_or(STAGES)..STAGES {
            self.jobs[number].stages[stage] = None;
            self.forget(number, stage);
        }
        self.commit(number, EventKind::JobRetried, None);
        Retrial::Queued
    }

    /// The first half of a sweep.
    pub fn look(&self) -> Found {
        let mut found = Found::default();
        for (number, job) in self.jobs.iter().enumerate() {
            if self.is_expired(job) && self.is_hopeless(job) {
                found.hopeless.push(Lease { job: number, epoch: job.epoch });
            }
            found.due += usize::from(self.is_due(job) || self.is_orphaned(job));
        }
        found
    }

    /// The second half, for each job that was found: others may have been faster. Gives how the job ended.
    pub fn end_hopeless(&mut self, lease: Lease) -> Result<JobStatus, LeaseLost> {
        self.fence(lease)?;
        let job = &self.jobs[lease.job];
        if !self.is_expired(job) && !self.has(Defect::SweepDoesNotLookAgain) {
            return Err(LeaseLost);
        }
        if job.is_cancel_requested {
            self.end(lease.job, JobStatus::Canceled, EventKind::JobCanceled, None);
        } else {
            self.end(lease.job, JobStatus::Failed, EventKind::JobFailed, Some(FailureCode::Poisoned));
        }
        Ok(self.jobs[lease.job].status)
    }

    fn fence_of_the_end(&self, lease: Lease) -> Result<(), LeaseLost> {
        let is_open = self.has(Defect::EndIsOverwritten) && self.jobs[lease.job].epoch == lease.epoch;
        if is_open { Ok(()) } else { self.fence(lease) }
    }

    fn end(&mut self, number: usize, status: JobStatus, kind: EventKind, failure: Option<FailureCode>) {
        let job = &mut self.jobs[number];
        (job.status, job.lease_until, job.failure) = (status, None, failure);
        self.commit(number, kind, None);
    }

    fn wait_until(&mut self, number: usize, due: Option<Time>, kind: EventKind) {
        let job = &mut self.jobs[number];
        (job.status, job.lease_until, job.next_attempt_at) = (JobStatus::Queued, None, due);
        job.rescues = 0;
        self.commit(number, kind, None);
    }
}
