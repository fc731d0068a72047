//! The pipeline's memory: the job's rows, under the attempt's lease.

use domain::{CallRecord, CallReservation, Cost, StageKey, StageRecord};
use futures::FutureExt;
use futures::future::BoxFuture;
use jobs::{Jobs, Lease, StoreError};
use pipeline::{Journal, JournalError};
use serde_json::Value;

use crate::patience::patiently;
use crate::refusal::Refusal;

/// The journal of one attempt.
pub(crate) struct LeaseJournal {
    pub(crate) jobs: Jobs,
    pub(crate) lease: Lease,
    pub(crate) refusal: Refusal,
}

impl Journal for LeaseJournal {
    fn start_stage<'a>(&'a self, key: &'a StageKey) -> BoxFuture<'a, Result<(), JournalError>> {
        answer(|| self.jobs.start_stage(&self.lease, key))
    }

    fn load_stage<'a>(&'a self, key: &'a StageKey) -> BoxFuture<'a, Result<Option<StageRecord>, JournalError>> {
        answer(|| self.jobs.load_stage(self.lease.job_id(), key))
    }

    fn save_stage<'a>(&'a self, record: &'a StageRecord) -> BoxFuture<'a, Result<(), JournalError>> {
        answer(|| self.jobs.save_stage(&self.lease, record))
    }

    fn load_call<'a>(
        &'a self,
        stage: &'a StageKey,
        turn: u32,
        request_sha256: &'a str,
    ) -> BoxFuture<'a, Result<Option<Value>, JournalError>> {
        answer(move || self.jobs.load_call(self.lease.job_id(), stage, turn, request_sha256))
    }

    fn forget_answers<'a>(&'a self, stage: &'a StageKey) -> BoxFuture<'a, Result<(), JournalError>> {
        answer(|| self.jobs.forget_answers(&self.lease, stage))
    }

    fn reserve_call<'a>(&'a self, reservation: &'a CallReservation) -> BoxFuture<'a, Result<(), JournalError>> {
        answer(|| self.jobs.reserve_call(&self.lease, reservation))
    }

    fn settle_call<'a>(&'a self, record: &'a CallRecord) -> BoxFuture<'a, Result<(), JournalError>> {
        if record.response.is_some() {
            self.refusal.is_over();
        }
        answer(|| self.jobs.settle_call(&self.lease, record))
    }

    fn spent(&self) -> BoxFuture<'_, Result<Cost, JournalError>> {
        answer(|| self.jobs.spent(self.lease.job_id()))
    }
}

/// What the database says, once it does. All that a journal does may be done twice.
fn answer<'a, T, F>(act: impl Fn() -> F + Send + 'a) -> BoxFuture<'a, Result<T, JournalError>>
where
    T: Send + 'a,
    F: Future<Output = Result<T, StoreError>> + Send + 'a,
{
    async move { patiently(act).await.map_err(journal_error) }.boxed()
}

fn journal_error(error: StoreError) -> JournalError {
    match error {
        StoreError::LeaseLost => JournalError::LeaseLost,
        other => JournalError::Storage(Box::new(other)),
    }
}
