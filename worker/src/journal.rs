//! The pipeline's memory: the job's rows, under the attempt's lease.

use std::error::Error;
use std::time::Duration;

use domain::{CallRecord, CallReservation, Cost, StageKey, StageRecord};
use futures::FutureExt;
use futures::future::BoxFuture;
use jobs::{Jobs, Lease, StoreError};
use pipeline::{Journal, JournalError};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tracing::warn;

/// Between two tries to write, while the database is away.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);

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
        self.persist(|| self.jobs.save_stage(&self.lease, record)).boxed()
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

    fn reserve_call<'a>(&'a self, reservation: &'a CallReservation) -> BoxFuture<'a, Result<(), JournalError>> {
        async { self.jobs.reserve_call(&self.lease, reservation).await.map_err(journal_error) }.boxed()
    }

    fn settle_call<'a>(&'a self, record: &'a CallRecord) -> BoxFuture<'a, Result<(), JournalError>> {
        self.persist(|| self.jobs.settle_call(&self.lease, record)).boxed()
    }

    fn spent(&self) -> BoxFuture<'_, Result<Cost, JournalError>> {
        async { self.jobs.spent(self.lease.job_id()).await.map_err(journal_error) }.boxed()
    }
}

impl LeaseJournal {
    /// Writes what was paid for. A database that is away for less than a lease does not cost it; both writes may be
    /// repeated.
    async fn persist<F>(&self, write: impl Fn() -> F + Send) -> Result<(), JournalError>
    where
        F: Future<Output = Result<(), StoreError>> + Send,
    {
        let give_up_at = Instant::now() + self.jobs.policy().lease;
        loop {
            match write().await {
                Err(StoreError::Unavailable(error)) if Instant::now() < give_up_at => {
                    warn!(error = &error as &dyn Error, "Cannot write what was worked out; trying again");
                    sleep(PAUSE_AFTER_ERROR).await;
                }
                outcome => return outcome.map_err(journal_error),
            }
        }
    }
}

fn journal_error(error: StoreError) -> JournalError {
    match error {
        StoreError::LeaseLost => JournalError::LeaseLost,
        other => JournalError::Storage(Box::new(other)),
    }
}
