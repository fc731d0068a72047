//! `tinygen serve`: the API and a worker in one process, on one SQLite file.

use std::fs::File;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, bail};
use egress::Egress;
use jobs::Jobs;
use pipeline::Pipeline;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use worker::WorkerConfig;

use crate::config::Config;
use crate::wiring;

/// Serves until Ctrl-C or SIGTERM, then hands back what is running and ends.
///
/// # Errors
/// When a part cannot start.
pub(crate) async fn serve(config: &Config) -> anyhow::Result<()> {
    let egress = wiring::egress(config)?;
    let jobs = wiring::jobs(config).await?;
    jobs.migrate().await?;
    // A database of its own means a data directory of its own. The lock is held to the end.
    let (folder, _lock) = if config.database_url.is_empty() {
        let folder = config.data_dir.join("repositories");
        let lock = take_over(&jobs, &config.data_dir).await?;
        make_empty(&folder)?;
        (folder, Some(lock))
    } else {
        (std::env::temp_dir(), None)
    };
    let pipeline = wiring::pipeline(config, &egress, &folder)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {} (TINYGEN_LISTEN)", config.listen))?;
    let service = Service { listener, jobs, egress, pipeline, concurrency: config.concurrency };
    service.run(shutdown_on_signal()?).await
}

/// Makes sure that no other process uses the data directory, and takes over what an earlier one left behind: its jobs
/// need not wait until their leases run out. The lock holds as long as the file is open.
async fn take_over(jobs: &Jobs, data_dir: &Path) -> anyhow::Result<File> {
    let path = data_dir.join("tinygen.lock");
    let lock = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    if lock.try_lock().is_err() {
        bail!(
            "another tinygen uses the data directory {}: stop it, or set TINYGEN_DATA_DIR to another folder",
            data_dir.display()
        );
    }
    let unfinished = jobs.expire_leases().await?;
    if unfinished > 0 {
        info!(unfinished, "Going on with the jobs of an earlier process");
    }
    Ok(lock)
}

/// A folder for the repositories of running jobs. What is in it was left by a process that was killed.
fn make_empty(folder: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot empty the folder {}", folder.display());
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(cannot),
        _ => {}
    }
    std::fs::create_dir_all(folder).with_context(cannot)
}

/// The parts of the running service.
pub(crate) struct Service {
    pub(crate) listener: TcpListener,
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
        let state = api::ApiState { jobs: self.jobs.clone(), egress: self.egress };
        let api = api::serve(self.listener, state, shutdown.clone());
        let worker = async {
            let outcome = worker::run(self.jobs, self.pipeline.into(), config, shutdown.clone()).await;
            shutdown.cancel();
            outcome.context("the worker stopped")
        };
        tokio::join!(api, worker).1
    }
}

/// A token that Ctrl-C and SIGTERM cancel; a second signal ends the process at once.
fn shutdown_on_signal() -> anyhow::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    tokio::spawn(async move {
        for is_first in [true, false] {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            if is_first {
                info!("Stopping: running jobs are handed back; a second signal ends at once");
                token.cancel();
            }
        }
        std::process::exit(130);
    });
    Ok(shutdown)
}
