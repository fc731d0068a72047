//! `tinygen worker`: works on the jobs that `tinygen api` takes.

use anyhow::Context;
use tracing::info;
use worker::WorkerConfig;

use super::signals::shutdown_on_signal;
use super::work_folder::WorkFolder;
use crate::config::Config;
use crate::wiring;

/// Works until Ctrl-C or SIGTERM, then hands back what is running and ends.
///
/// # Errors
/// When a part cannot start, or the worker cannot go on.
pub(crate) async fn work(config: &Config) -> anyhow::Result<()> {
    let folder = WorkFolder::create_in(&std::env::temp_dir())?;
    let pipeline = wiring::pipeline(config, &wiring::egress(config)?, folder.path())?;
    let shutdown = shutdown_on_signal()?;
    let Some(jobs) = shutdown.run_until_cancelled(wiring::shared_jobs(config)).await.transpose()? else {
        return Ok(());
    };
    let worker = WorkerConfig { concurrency: config.concurrency, ..WorkerConfig::default() };
    info!(worker.id = %worker.id, worker.concurrency = worker.concurrency, "Working");
    worker::run(jobs, pipeline.into(), worker, shutdown).await.context("the worker stopped")
}
