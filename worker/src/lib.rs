//! Takes jobs one after the other and runs the pipeline on each, several at a time; and delivers webhooks.
//!
//! [`run`] is an apalis worker over a stream of *claimed* jobs: `queue` claims, `attempt` does the work of one claim,
//! `heartbeat` keeps its lease and `journal` its results. Nothing here decides who owns a job; the store does.

mod attempt;
mod config;
mod heartbeat;
mod journal;
mod patience;
mod presence;
mod progress;
mod queue;
mod refusal;
mod retry;
mod sweep;
mod tally;
mod vitals;
mod webhook;
mod work;

use std::io;
use std::sync::Arc;

use apalis::layers::WorkerBuilderExt;
use apalis_core::error::BoxDynError;
use apalis_core::monitor::{Monitor, MonitorError};
use apalis_core::task::data::Data;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_core::worker::ext::parallelize::ParallelizeExt;
use futures::FutureExt;
use futures::future::BoxFuture;
use jobs::{ClaimedJob, Jobs};
use tokio_util::sync::CancellationToken;

use crate::attempt::Attempts;
use crate::heartbeat::Heart;

pub use config::WorkerConfig;
pub use sweep::sweep;
pub use vitals::Vitals;
pub use webhook::{WebhookConfig, deliver_webhooks};
pub use work::{Work, WorkError};

/// Why a worker stopped though nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The thread that keeps the leases did not start.
    #[error("cannot start the heartbeat thread")]
    Heartbeat(#[source] io::Error),
    /// The worker's runtime gave up.
    #[error("the worker stopped")]
    Stopped(#[source] MonitorError),
}

/// Works until `shutdown`: then no job is claimed any more, running ones are handed back without their attempt being
/// used up, and the function returns.
///
/// # Errors
/// [`WorkerError`] when the worker cannot start or cannot go on. A job that fails, or panics, or a database that is away
/// for a while, is no reason to stop.
pub async fn run(jobs: Jobs, work: Work, config: WorkerConfig, shutdown: CancellationToken) -> Result<(), WorkerError> {
    let heart = Heart::start(&jobs, &config).map_err(WorkerError::Heartbeat)?;
    let attempts = Attempts { jobs: jobs.clone(), work, config: config.clone(), heart, shutdown };
    tally::worker_begins(config.concurrency);
    let outcome = tokio::select! {
        stopped = worker(attempts) => stopped.map_err(WorkerError::Stopped),
        never = sweep::sweep(&jobs, config.sweep) => match never {},
        never = presence::show(&jobs, &config) => match never {},
    };
    presence::end(&jobs, &config).await;
    outcome
}

/// The apalis worker under its monitor: a stream of claimed jobs, and what is done with each. It is not restarted in place:
/// what it had begun would go on beside it. Who started the process starts another, which is a worker of its own.
fn worker(attempts: Attempts) -> BoxFuture<'static, Result<(), MonitorError>> {
    let context = WorkerContext::new(attempts.config.id.as_str());
    let attempts = Arc::new(attempts);
    let build = move |_restarts| {
        WorkerBuilder::new(&context)
            .backend(queue::claims(&attempts, context.clone()))
            .data(attempts.clone())
            .catch_panic()
            .parallelize(tokio::spawn)
            .concurrency(attempts.config.concurrency)
            .build(run_attempt)
    };
    Monitor::new().register(build).run().boxed()
}

async fn run_attempt(job: ClaimedJob, attempts: Data<Arc<Attempts>>) -> Result<(), BoxDynError> {
    attempts.run(job).await;
    Ok(())
}
