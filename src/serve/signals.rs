//! Ctrl-C and SIGTERM.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// A token that Ctrl-C and SIGTERM cancel; a second signal ends the process at once.
///
/// # Errors
/// When the process cannot listen for signals.
pub(crate) fn shutdown_on_signal() -> anyhow::Result<CancellationToken> {
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
