//! The pipeline's memory: the job's rows, under the attempt's lease.

use domain::{CallRecord, CallReservation, Cost, StageKey, StageRecord};
use futures::FutureExt;
use futures::future::BoxFuture;
use jobs::{Jobs, Lease, StoreError};
use pipeline::{Journal, JournalError};
use serde_json::Value;

use crate::patience::write_patiently;

/// The journal of one attempt.
pub(crate) struct LeaseJournal {
    pub(crate) jobs: Jobs,
    pub(crate) lease: Lease,
}

impl Journal for LeaseJournal {
    fn start_stage<'a>(&'a self, key: &'a StageKey) -> BoxFuture<'a, Result<(), JournalError>> {
        async { self.jobs.start_stage(&self.lease, key).await.map_err(journal_error) }.boxed()
    }

    fn load_stage<'a>(&'a self, key: &'a StageKey) -> BoxFuture<'a, Result<Option<StageRecord>, JournalError>> {
        async { self.jobs.load_stage(self.lease.job_id(), key).await.map_err(journal_error) }.boxed()
    }

    fn save_stage<'a>(&'a self, record: &'a StageRecord) -> BoxFuture<'a, Result<(), JournalError>> {
        let write = || self.jobs.save_stage(&self.lease, record);
        async move { write_patiently(&self.jobs, write).await.map_err(journal_error) }.boxed()
    }

    fn load_call<'a>(
        &'a self,
        stage: &'a StageKey,
        turn: u32,
        request_sha256: &'a str,
    ) -> BoxFuture<'a, Result<Option<Value>, JournalError>> {
        async move {
            self.jobs.load_call(self.lease.job_id(), stage, turn, request_sha256).await.map_err(journal_error)
        }
        .boxed()
    }

    fn forget_answers<'a>(&'a self, stage: &'a StageKey) -> BoxFuture<'a, Result<(), JournalError>> {
        async { self.jobs.forget_answers(&self.lease, stage).await.map_err(journal_error) }.boxed()
    }

    fn reserve_call<'a>(&'a self, reservation: &'a CallReservation) -> BoxFuture<'a, Result<(), JournalError>> {
        async { self.jobs.reserve_call(&self.lease, reservation).await.map_err(journal_error) }.boxed()
    }

    fn settle_call<'a>(&'a self, record: &'a CallRecord) -> BoxFuture<'a, Result<(), JournalError>> {
        let write = || self.jobs.settle_call(&self.lease, record);
        async move { write_patiently(&self.jobs, write).await.map_err(journal_error) }.boxed()
    }

    fn spent(&self) -> BoxFuture<'_, Result<Cost, JournalError>> {
        async { self.jobs.spent(self.lease.job_id()).await.map_err(journal_error) }.boxed()
    }
}

fn journal_error(error: StoreError) -> JournalError {
    match error {
        StoreError::LeaseLost => JournalError::LeaseLost,
        other => JournalError::Storage(Box::new(other)),
    }
}
