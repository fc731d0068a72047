//! Writes that must not be lost with a database that is away for a moment.

use std::error::Error;
use std::time::Duration;

use jobs::{Jobs, StoreError};
use tokio::time::{Instant, sleep};
use tracing::warn;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Tries a write, which may be repeated, until the database has been away for a whole lease: then the job is another's.
pub(crate) async fn write_patiently<F>(jobs: &Jobs, write: impl Fn() -> F) -> Result<(), StoreError>
where
    F: Future<Output = Result<(), StoreError>>,
{
    let give_up_at = Instant::now() + jobs.policy().lease;
    loop {
        match write().await {
            Err(StoreError::Unavailable(error)) if Instant::now() < give_up_at => {
                warn!(error = &error as &dyn Error, "Cannot write to the database; trying again");
                sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}
