//! Looks, now and then, for what no bell rings for.

use std::convert::Infallible;
use std::time::Duration;

use jobs::Jobs;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

/// Sweeps for ever. Every worker does, and so may any other process: a lone API then still ends what has no worker.
pub async fn sweep(jobs: &Jobs, every: Duration) -> Infallible {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match jobs.sweep().await {
            Ok(swept) => {
                if swept.poisoned > 0 {
                    error!(jobs = swept.poisoned, "Gave jobs up that took their workers down");
                }
                if swept.purged > 0 {
                    info!(jobs = swept.purged, "Deleted jobs that had ended long ago");
                }
            }
            Err(error) => warn!(error = &error as &dyn std::error::Error, "Cannot sweep; trying again"),
        }
    }
}
