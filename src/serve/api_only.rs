//! `tinygen api`: takes jobs and shows them; workers in other processes do them.

use tracing::info;
use worker::WorkerConfig;

use super::listen;
use super::signals::shutdown_on_signal;
use crate::config::Config;
use crate::wiring;

/// Serves the API until Ctrl-C or SIGTERM.
///
/// # Errors
/// When a part cannot start.
pub(crate) async fn serve_api(config: &Config) -> anyhow::Result<()> {
    let egress = wiring::egress(config)?;
    let shutdown = shutdown_on_signal()?;
    let Some(jobs) = shutdown.run_until_cancelled(wiring::shared_jobs(config)).await.transpose()? else {
        return Ok(());
    };
    let state = wiring::api(config, &jobs, &egress)?;
    let listener = listen(config, &jobs).await?;
    info!(address = %listener.local_addr()?, "Listening");
    tokio::select! {
        () = api::serve(listener, state, shutdown) => Ok(()),
        never = worker::sweep(&jobs, WorkerConfig::default().sweep) => match never {},
        never = jobs.tell_of_deliveries() => match never {},
    }
}
