//! Says that the worker lives, for whoever decides how many workers there should be.
//!
//! No lease depends on it, so it has nothing of the heartbeat's: no thread, no connection. A database that is slow here
//! must not delay a heartbeat, and a worker that is so busy that it is not seen for a while is only missing in a count.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use jobs::Jobs;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::debug;

use crate::config::WorkerConfig;

/// How long the end of a worker may wait for it to be written.
const FAREWELL: Duration = Duration::from_millis(500);

/// Says so as often as a lease is renewed, for ever.
pub(crate) async fn show(jobs: &Jobs, config: &WorkerConfig) -> Infallible {
    let mut ticks = interval(config.heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = jobs.note_worker(&config.id, config.concurrency).await {
            debug!(error = &error as &dyn Error, "Cannot say that the worker lives; trying again");
        }
    }
}

/// Says that it has ended. If nobody hears that, it counts as living for a lease more.
pub(crate) async fn end(jobs: &Jobs, config: &WorkerConfig) {
    match timeout(FAREWELL, jobs.note_worker_gone(&config.id)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(error = &error as &dyn Error, "Cannot say that the worker has ended"),
        Err(_) => debug!("The database is too slow to hear that the worker has ended"),
    }
}
