//! Serving connections: bounded in number, in patience, and at the end.
//!
//! `axum::serve` runs hyper without a timer, so a client that sends its headers one byte a minute is never cut off.
//! This loop is the same thing with the timer and with a bound on connections.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::state::MAX_STREAMS;
use crate::{ApiState, health_router, router};

/// Most connections at a time; the next ones wait in the kernel's backlog. Streams of events leave room for requests.
const MAX_CONNECTIONS: usize = MAX_STREAMS + 1024;

/// What hyper keeps for one connection at most, in bytes: the headers of a request, or what a client is slow to take.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// Longest time a client may take for the headers of a request, and the longest silence between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long requests that are under way may still take after the shutdown began.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait when no connection can be accepted, for example because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the API until `shutdown` is cancelled, then ends streams of events and answers who waits for a job, at once, and
/// lets the other requests that are under way finish, for at most 10 s.
pub async fn serve(listener: TcpListener, state: ApiState, shutdown: CancellationToken) {
    let write_timeout = state.pace.write_timeout;
    let app = router(ApiState { closing: shutdown.clone(), ..state });
    serve_routes(listener, app, write_timeout, shutdown).await;
}

/// Like [`serve`], for `/healthz`, `/readyz` and `/metrics` alone.
pub async fn serve_health(listener: TcpListener, state: ApiState, shutdown: CancellationToken) {
    let write_timeout = state.pace.write_timeout;
    serve_routes(listener, health_router(state), write_timeout, shutdown).await;
}

async fn serve_routes(listener: TcpListener, app: Router, write_timeout: Duration, shutdown: CancellationToken) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(MAX_BUFFER_BYTES);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let conversations = TaskTracker::new();

    while let Some((stream, slot)) = shutdown.run_until_cancelled(accept(&listener, &slots)).await {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(write_timeout));
        let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(app.clone()));
        let shutdown = shutdown.clone();
        conversations.spawn(async move {
            let mut connection = pin!(connection);
            if shutdown.run_until_cancelled(connection.as_mut()).await.is_none() {
                connection.as_mut().graceful_shutdown();
                // A connection that breaks off is the client's business, here and above; what it asked for is logged.
                let _ = timeout(DRAIN_TIMEOUT, connection).await;
            }
            drop(slot);
        });
    }

    drop(listener);
    conversations.close();
    conversations.wait().await;
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Without it, a short event would wait for the acknowledgement of the one before.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "Could not set TCP_NODELAY");
                }
                return (stream, slot);
            }
            Err(error) => {
                tracing::warn!(%error, "Could not accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
