//! Nothing is given up because the database is away for a while.

use std::error::Error;
use std::time::Duration;

use jobs::StoreError;
use tokio::time::sleep;
use tracing::warn;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Does what may be done twice until the database has answered, however long that takes: while it is away nobody else can
/// take the job over either, and there is nothing better to do.
pub(crate) async fn patiently<T, F>(act: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match act().await {
            Err(StoreError::Unavailable(error)) => {
                warn!(error = &error as &dyn Error, "The database does not answer; trying again");
                sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}
