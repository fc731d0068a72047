//! What the pipeline sees of storage.

mod memory;

use domain::{CallRecord, CallReservation, Cost, StageKey, StageRecord};
use futures::future::BoxFuture;
use serde_json::Value;

pub use memory::MemoryJournal;

/// The memory of one job: the outputs of its stages and its calls to the model.
///
/// Everything here outlives the process: a job that starts again loads what is there and pays for nothing twice. An
/// implementation fences each write by the attempt's lease, so a worker that lost its job cannot write.
pub trait Journal: Send + Sync {
    /// Notes that work on a stage begins.
    fn start_stage<'a>(&'a self, key: &'a StageKey) -> BoxFuture<'a, Result<(), JournalError>>;

    /// The stored record of a stage, if the stage was ever finished.
    fn load_stage<'a>(&'a self, key: &'a StageKey) -> BoxFuture<'a, Result<Option<StageRecord>, JournalError>>;

    /// Stores a finished stage.
    fn save_stage<'a>(&'a self, record: &'a StageRecord) -> BoxFuture<'a, Result<(), JournalError>>;

    /// The answer to exactly this request, made at this place of the job, if it was ever received in full.
    fn load_call<'a>(
        &'a self,
        stage: &'a StageKey,
        turn: u32,
        request_sha256: &'a str,
    ) -> BoxFuture<'a, Result<Option<Value>, JournalError>>;

    /// Forgets the answers of a stage that came to nothing, so that another attempt asks anew. What they cost stays.
    fn forget_answers<'a>(&'a self, stage: &'a StageKey) -> BoxFuture<'a, Result<(), JournalError>>;

    /// Sets money aside, before the call is made.
    fn reserve_call<'a>(&'a self, reservation: &'a CallReservation) -> BoxFuture<'a, Result<(), JournalError>>;

    /// Stores how a call ended, in place of its reservation.
    fn settle_call<'a>(&'a self, record: &'a CallRecord) -> BoxFuture<'a, Result<(), JournalError>>;

    /// What all calls of the job cost so far; a call that was never settled counts with its reservation.
    fn spent(&self) -> BoxFuture<'_, Result<Cost, JournalError>>;
}

/// Why the journal did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another worker holds the job now: stop, and forget the result.
    #[error("the job's lease is lost")]
    LeaseLost,
    /// The storage failed; the attempt cannot go on.
    #[error("the job's storage failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}
