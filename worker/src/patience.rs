//! Nothing is given up because the database is away for a while.

use std::error::Error;
use std::time::Duration;

use jobs::StoreError;
use tokio::time::{sleep, timeout};
use tracing::warn;

/// Longest that the database may take to answer: more than a lock on a job lasts. A connection that has died without a
/// word would be waited for without end.
const ANSWER: Duration = Duration::from_secs(15);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Does what may be done twice until the database has answered, however long that takes: while it is away nobody else can
/// take the job over either, and there is nothing better to do.
pub(crate) async fn patiently<T, F>(act: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match answered(act()).await {
            Err(StoreError::Unavailable(error)) => {
                warn!(error = &error as &dyn Error, "The database does not answer; trying again");
                sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// What the database says, if it does in time. Else what was asked may have been done.
pub(crate) fn answered<T>(
    act: impl Future<Output = Result<T, StoreError>>,
) -> impl Future<Output = Result<T, StoreError>> {
    let answer = timeout(ANSWER, Box::pin(act));
    async { answer.await.unwrap_or_else(|_| Err(StoreError::silent())) }
}
