//! `tinygen serve`: the API and a worker in one process, on one SQLite file unless configured otherwise.
//!
//! `tinygen api` and `tinygen worker`, the two halves on a shared database, are `serve/api_only.rs` and
//! `serve/worker_only.rs`.

mod api_only;
mod data_dir;
mod signals;
mod work_folder;
mod worker_only;

use std::net::SocketAddr;

use anyhow::{Context, bail};
use api::ApiState;
use egress::Egress;
use jobs::Jobs;
use pipeline::Pipeline;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use worker::{WebhookConfig, WorkerConfig};

use crate::config::Config;
use crate::wiring;

use self::signals::shutdown_on_signal;
use self::work_folder::WorkFolder;

pub(crate) use api_only::serve_api;
pub(crate) use worker_only::work;

/// Open files that the process asks for: more than the API takes connections.
const MAX_OPEN_FILES: u64 = 16_384;

/// Serves until Ctrl-C or SIGTERM, then hands back what is running and ends.
///
/// # Errors
/// When a part cannot start.
pub(crate) async fn serve(config: &Config) -> anyhow::Result<()> {
    let egress = wiring::egress(config)?;
    let jobs = wiring::jobs(config).await?;
    jobs.migrate().await?;
    // A database of its own means a data directory of its own. What is held is held to the end.
    let (folder, _held) = if config.database_url.is_empty() {
        let folder = config.data_dir.join("repositories");
        let lock = data_dir::take_over(&jobs, &config.data_dir).await?;
        data_dir::make_empty(&folder)?;
        (folder, (Some(lock), None))
    } else {
        let folder = WorkFolder::create_in(&std::env::temp_dir())?;
        (folder.path().to_owned(), (None, Some(folder)))
    };
    let pipeline = wiring::pipeline(config, &egress, &folder)?;
    let listener = listen(config, &jobs).await?;
    let api = wiring::api(config, &jobs, &egress)?;
    let service = Service { listener, api, jobs, egress, pipeline, concurrency: config.concurrency };
    service.run(shutdown_on_signal()?).await
}

/// Listens, unless that would let strangers in: as long as no key was ever made, nobody needs one.
async fn listen(config: &Config, jobs: &Jobs) -> anyhow::Result<TcpListener> {
    let is_loopback = config.listen.ip().to_canonical().is_loopback();
    if !is_loopback && !jobs.has_keys().await? {
        if !config.no_auth {
            bail!(
                "{} (TINYGEN_LISTEN) is reached from other machines, and there is no API key: make one with `tinygen \
                 keys create --name <what for>`, or listen on 127.0.0.1, or set TINYGEN_NO_AUTH=1 to let everybody in \
                 who reaches that address",
                config.listen
            );
        }
        warn!(address = %config.listen, "Everybody who reaches this address may use the server (TINYGEN_NO_AUTH)");
    }
    raise_open_files();
    bind(config.listen, "TINYGEN_LISTEN").await
}

/// Many systems allow 1024 open files unless a program asks for more; each open stream of events is one, and a job that is
/// worked on has several.
fn raise_open_files() {
    if let Err(error) = rlimit::increase_nofile_limit(MAX_OPEN_FILES) {
        warn!(%error, "Cannot raise the limit of open files");
    }
}

async fn bind(address: SocketAddr, variable: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({variable})"))
}

/// The parts of the running service.
pub(crate) struct Service {
    pub(crate) listener: TcpListener,
    pub(crate) api: ApiState,
    pub(crate) jobs: Jobs,
    pub(crate) egress: Egress,
    pub(crate) pipeline: Pipeline,
    pub(crate) concurrency: usize,
}

impl Service {
    /// Where the API listens.
    ///
    /// # Errors
    /// When the socket is gone.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Runs the API and the worker until `shutdown`, or until the worker cannot go on: then the API is stopped too.
    ///
    /// # Errors
    /// What made the worker fail.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        info!(address = %self.address()?, "Listening");
        let config = WorkerConfig { concurrency: self.concurrency, ..WorkerConfig::default() };
        let vitals = config.vitals.clone();
        let state = self.api.beside_worker(move || wiring::health_of(&vitals));
        let api = api::serve(self.listener, state, shutdown.clone());
        let courier = WebhookConfig::default();
        let webhooks = Box::pin(worker::deliver_webhooks(self.jobs.clone(), self.egress, courier, shutdown.clone()));
        let worker = async {
            let outcome = worker::run(self.jobs, self.pipeline.into(), config, shutdown.clone()).await;
            shutdown.cancel();
            outcome.context("the worker stopped")
        };
        tokio::join!(api, webhooks, worker).2
    }
}
