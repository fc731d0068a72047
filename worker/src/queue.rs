//! The stream of claimed jobs that the worker is built on.

use std::convert::Infallible;
use std::time::Duration;

use apalis_core::worker::context::WorkerContext;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use jobs::{ClaimedJob, Jobs};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::attempt::Attempts;
use crate::config::WorkerConfig;
use crate::tally;

/// Between two claims while the database is away.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Jobs as they are claimed, until `shutdown`. The worker pulls when it has a free slot, so no job sits claimed in a
/// buffer. A database that is away only makes it wait.
pub(crate) fn claims(attempts: &Attempts, worker: WorkerContext) -> BoxStream<'static, Result<ClaimedJob, Infallible>> {
    let queue = Queue {
        jobs: attempts.jobs.clone(),
        config: attempts.config.clone(),
        shutdown: attempts.shutdown.clone(),
        worker,
    };
    stream::unfold(queue, |queue| async move { queue.next().await.map(|job| (Ok(job), queue)) }).boxed()
}

struct Queue {
    jobs: Jobs,
    config: WorkerConfig,
    shutdown: CancellationToken,
    worker: WorkerContext,
}

impl Queue {
    async fn next(&self) -> Option<ClaimedJob> {
        // Only the waiting is cut short, never a claim: a claim that is dropped half-way may have been made.
        while !self.shutdown.is_cancelled() {
            if let Some(pause) = self.config.vitals.refusal.pause() {
                self.shutdown.run_until_cancelled(sleep(pause)).await;
                continue;
            }
            self.config.vitals.claim_begins();
            // One that was made all the same is lost with its lease, and made again by somebody.
            let claim = self.jobs.claim(&self.config.id).await;
            self.config.vitals.claim_is_over();
            if claim.is_ok() {
                tally::looked_for_a_job();
            }
            let pause = match claim {
                Ok(Some(job)) => return Some(job),
                Ok(None) => self.shutdown.run_until_cancelled(self.jobs.wait(self.config.idle)).await,
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "Cannot claim a job; trying again");
                    self.shutdown.run_until_cancelled(sleep(PAUSE_AFTER_ERROR)).await
                }
            };
            debug!(shutting_down = pause.is_none(), "Looking for a job again");
        }
        // A stream that ends does not yet end the worker: it would wait for this word.
        if let Err(error) = self.worker.stop() {
            warn!(error = &error as &dyn std::error::Error, "The worker was not running");
        }
        info!(worker.id = %self.config.id, "No job is claimed any more");
        None
    }
}
