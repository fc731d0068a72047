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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_database_that_never_answers_is_asked_again() {
        let asked = Cell::new(0);
        let act = || {
            asked.set(asked.get() + 1);
            let is_silent = asked.get() < 3;
            async move { if is_silent { pending().await } else { Ok(()) } }
        };
        patiently(act).await.expect("the third one is answered");
        assert_eq!(asked.get(), 3);
        assert!(matches!(answered(pending::<Result<(), _>>()).await, Err(StoreError::Unavailable(_))));
    }
}
