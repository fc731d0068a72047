//! Looks, now and then, for changes of watched jobs that no hint told of.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use super::watched::{Watched, WatchedJob};
use crate::error::StoreError;
use crate::store::Store;

/// How often: the longest that a change stays unseen when every hint of it was lost.
const EVERY: Duration = Duration::from_secs(1);
/// Jobs that one statement looks at.
const BATCH: usize = 500;

/// Polls the versions of all watched jobs together, however many watch them.
pub(super) async fn poll(watched: Arc<Watched>, store: Store) {
    let mut turns = watched.turns();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let jobs = watched.jobs();
        if jobs.is_empty() && turns.changed().await.is_err() {
            return;
        }
        for batch in jobs.chunks(BATCH) {
            if let Err(error) = look(batch, &store).await {
                // Whoever reads the jobs meets the same error and tells it.
                debug!(error = &error as &dyn Error, "Cannot look for changes; trying again");
            }
        }
    }
}

async fn look(jobs: &[Arc<WatchedJob>], store: &Store) -> Result<(), StoreError> {
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    let versions: HashMap<_, _> = store.versions(&ids).await?.into_iter().collect();
    for job in jobs {
        job.found(versions.get(&job.id).copied());
    }
    Ok(())
}
