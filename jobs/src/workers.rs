//! What workers ask of jobs: the way from a claim to its end, every write under the lease.

use std::time::Duration;

use domain::{CallRecord, CallReservation, Cost, Failure, JobId, JobResult, StageKey, StageRecord};
use serde_json::Value;

use crate::Jobs;
use crate::error::StoreError;
use crate::job::Swept;
use crate::lease::{ClaimedJob, Heartbeat, Lease, Requeued, WorkerId};
use crate::live::LiveEvent;

/// For workers. Everything that writes fails with [`StoreError::LeaseLost`], and changes nothing, when the lease is not
/// the job's newest or the job is over.
impl Jobs {
    /// Takes a job whose worker was lost, or else the most urgent job of the owner whose turn it is; jobs become more
    /// urgent as they wait. Jobs for which enough of their owner's run are passed over. The try is counted before any work
    /// is done.
    pub async fn claim(&self, worker: &WorkerId) -> Result<Option<ClaimedJob>, StoreError> {
        let claimed = self.store.claim(worker, &self.policy).await?;
        if let Some(job) = &claimed {
            self.changes.tell_change(job.id);
        }
        Ok(claimed)
    }

    /// Returns when there may be something to claim, or after `idle`.
    pub async fn wait(&self, idle: Duration) {
        self.bell.wait(idle).await;
    }

    /// Notes that a worker lives and works on so many jobs at the same time. It counts as living for the time of a lease;
    /// what it holds does not depend on it.
    pub async fn note_worker(&self, worker: &WorkerId, slots: usize) -> Result<(), StoreError> {
        self.store.note_worker(worker, slots as u64, &self.policy).await
    }

    /// Notes that a worker has ended.
    pub async fn note_worker_gone(&self, worker: &WorkerId) -> Result<(), StoreError> {
        self.store.note_worker_gone(worker).await
    }

    /// Notes the trace of the attempt that has begun, as W3C `traceparent`: the next attempt will point to it.
    pub async fn note_attempt_trace(&self, lease: &Lease, trace_context: &str) -> Result<(), StoreError> {
        self.store.traced("note_attempt_trace", lease.job_id, self.store.note_attempt_trace(lease, trace_context)).await
    }

    /// Keeps each of the jobs for another lease from now on. Gives an answer for each, in their order.
    pub async fn heartbeat(&self, leases: &[Lease]) -> Result<Vec<Heartbeat>, StoreError> {
        self.store.heartbeat(leases, &self.policy).await
    }

    /// What a heartbeat would say of each. Only reads.
    pub async fn check(&self, leases: &[Lease]) -> Result<Vec<Heartbeat>, StoreError> {
        self.store.check(leases).await
    }

    /// Notes that work on a stage begins. Does nothing when its output is there already.
    pub async fn start_stage(&self, lease: &Lease, key: &StageKey) -> Result<(), StoreError> {
        self.change("start_stage", lease.job_id, self.store.start_stage(lease, key)).await
    }

    /// The record of a stage, if it was ever finished.
    pub async fn load_stage(&self, id: JobId, key: &StageKey) -> Result<Option<StageRecord>, StoreError> {
        self.store.traced("load_stage", id, self.store.load_stage(id, key)).await
    }

    /// Stores what a stage made. The first output of a stage stays; storing another one does nothing.
    pub async fn save_stage(&self, lease: &Lease, record: &StageRecord) -> Result<(), StoreError> {
        self.change("save_stage", lease.job_id, self.store.save_stage(lease, record)).await
    }

    /// The answer to exactly this request at this place of the job, if it was ever received in full.
    pub async fn load_call(
        &self,
        id: JobId,
        stage: &StageKey,
        turn: u32,
        request_sha256: &str,
    ) -> Result<Option<Value>, StoreError> {
        self.store.traced("load_call", id, self.store.load_call(id, stage, turn, request_sha256)).await
    }

    /// Forgets the answers of a stage that came to nothing, so that another attempt asks anew. What they cost stays.
    pub async fn forget_answers(&self, lease: &Lease, stage: &StageKey) -> Result<(), StoreError> {
        self.store.traced("forget_answers", lease.job_id, self.store.forget_answers(lease, stage)).await
    }

    /// Sets the worst case of a call aside, before the call.
    pub async fn reserve_call(&self, lease: &Lease, call: &CallReservation) -> Result<(), StoreError> {
        self.store.traced("reserve_call", lease.job_id, self.store.reserve_call(lease, call)).await
    }

    /// Puts what a call used in place of its reservation. Settling twice is the same as settling once.
    pub async fn settle_call(&self, lease: &Lease, call: &CallRecord) -> Result<(), StoreError> {
        self.change("settle_call", lease.job_id, self.store.settle_call(lease, call)).await
    }

    /// What the job has cost so far, a call that was never settled counting with its reservation.
    pub async fn spent(&self, id: JobId) -> Result<Cost, StoreError> {
        self.store.traced("spent", id, self.store.spent(id)).await
    }

    /// Ends the job with its result.
    pub async fn succeed(&self, lease: &Lease, result: &JobResult) -> Result<(), StoreError> {
        self.change("succeed", lease.job_id, self.store.succeed(lease, result)).await
    }

    /// Ends the job with a failure.
    pub async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<(), StoreError> {
        self.change("fail", lease.job_id, self.store.fail(lease, failure)).await
    }

    /// Ends the job because somebody asked for it and the work has stopped.
    pub async fn confirm_cancel(&self, lease: &Lease) -> Result<(), StoreError> {
        self.change("confirm_cancel", lease.job_id, self.store.confirm_cancel(lease)).await
    }

    /// Lets the job wait `delay` for its next attempt; after the last attempt it fails with `failure` instead.
    pub async fn requeue(&self, lease: &Lease, failure: &Failure, delay: Duration) -> Result<Requeued, StoreError> {
        let requeued = self.change("requeue", lease.job_id, self.store.requeue(lease, failure, delay)).await?;
        if delay.is_zero() {
            self.ring(lease.job_id).await;
        }
        Ok(requeued)
    }

    /// Lets the job wait `delay` because a service limits our rate; its attempt is not used up. A job that would wait
    /// beyond the [`Policy`](crate::Policy)'s bound fails with `failure` instead.
    pub async fn postpone(&self, lease: &Lease, failure: &Failure, delay: Duration) -> Result<Requeued, StoreError> {
        self.change("postpone", lease.job_id, self.store.postpone(lease, failure, delay, &self.policy)).await
    }

    /// Hands the job back for another worker to go on with at once; its attempt is not used up.
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.change("release", lease.job_id, self.store.release(lease)).await?;
        self.ring(lease.job_id).await;
        Ok(())
    }

    /// Tells those who watch the job now something that is not stored. It may be lost, and never waits. Must be called on a
    /// Tokio runtime.
    pub fn tell(&self, id: JobId, live: LiveEvent) {
        self.changes.tell_live(id, live);
    }

    /// Rings for what waits, ends what no worker may have any more, and forgets what is old. Any process may do so at any
    /// time.
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        let found = self.store.look_around(&self.policy).await?;
        // First of all: a row that somebody holds must not keep workers from the rest.
        self.bell.ring(&found.due).await;
        let ended = self.store.end_hopeless(&found, &self.policy).await?;
        ended.ids.iter().for_each(|id| self.changes.tell_change(*id));
        let purged = self.store.forget_old(&self.policy).await?;
        Ok(Swept { due: found.due.len(), poisoned: ended.poisoned, canceled: ended.canceled, purged })
    }
}
