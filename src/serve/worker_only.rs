//! `tinygen worker`: works on the jobs that `tinygen api` takes, and delivers webhooks.

use anyhow::Context;
use api::ApiState;
use exposition::Exposition;
use tracing::info;
use worker::{WebhookConfig, WorkerConfig};

use super::signals::shutdown_on_signal;
use super::work_folder::WorkFolder;
use super::{bind, raise_open_files};
use crate::config::Config;
use crate::wiring;

/// Works until Ctrl-C or SIGTERM, then hands back what is running and ends.
///
/// # Errors
/// When a part cannot start, or the worker cannot go on.
pub(crate) async fn work(config: &Config) -> anyhow::Result<()> {
    let egress = wiring::egress(config)?;
    let folder = WorkFolder::create_in(&std::env::temp_dir())?;
    let pipeline = wiring::pipeline(config, &egress, folder.path())?;
    let listener = match config.worker_listen {
        Some(address) => Some(bind(address, "TINYGEN_WORKER_LISTEN").await?),
        None => None,
    };
    raise_open_files();
    let shutdown = shutdown_on_signal()?;
    let Some(jobs) = shutdown.run_until_cancelled(wiring::shared_jobs(config)).await.transpose()? else {
        return Ok(());
    };
    let worker = WorkerConfig { concurrency: config.concurrency, ..WorkerConfig::default() };
    info!(worker.id = %worker.id, worker.concurrency = worker.concurrency, "Working");
    let (vitals, counted) = (worker.vitals.clone(), Exposition::install());
    let health = async {
        if let Some(listener) = listener {
            let state = ApiState::new(jobs.clone(), egress.clone()).beside_worker(move || wiring::health_of(&vitals));
            let state = state.with_metrics(move || counted.to_string());
            api::serve_health(listener, state, shutdown.clone()).await;
        }
    };
    let courier = WebhookConfig::default();
    let webhooks = Box::pin(worker::deliver_webhooks(jobs.clone(), egress.clone(), courier, shutdown.clone()));
    let work = async {
        let outcome = worker::run(jobs.clone(), pipeline.into(), worker, shutdown.clone()).await;
        shutdown.cancel();
        outcome.context("the worker stopped")
    };
    tokio::join!(health, webhooks, work).2
}
