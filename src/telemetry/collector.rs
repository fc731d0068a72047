//! The way to the collector.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::{Builder, Runtime};
use tracing::{info, warn};

/// Largest answer that is read, in bytes: it says how many spans were taken, and nobody asks.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Sends batches on the thread of the batch processor, with a runtime of its own: blocking work that holds up every
/// thread of the worker must not hold up its traces, and the last batch is sent after the worker's runtime has ended.
#[derive(Debug)]
pub(super) struct Collector {
    client: reqwest::Client,
    runtime: Runtime,
    /// Only for the log, which tells of changes.
    is_away: AtomicBool,
}

impl Collector {
    /// A client that waits `timeout` for an answer.
    ///
    /// # Errors
    /// When TLS or the runtime cannot be set up.
    pub(super) fn new(timeout: Duration) -> anyhow::Result<Self> {
        let client = egress::operator_client(timeout)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client, runtime, is_away: AtomicBool::new(false) })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, reqwest::Error> {
        let mut answer = self.client.execute(request.try_into()?).await?;
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        let mut body = Vec::new();
        while let Some(bytes) = answer.chunk().await?
            && body.len() + bytes.len() <= MAX_ANSWER_BYTES
        {
            body.extend_from_slice(&bytes);
        }
        let mut response = Response::new(body.into());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Logs when the collector goes and when it comes back, not every batch in between.
    fn note(&self, outcome: &Result<Response<Bytes>, reqwest::Error>) {
        let failure = match outcome {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answers {}", response.status())),
            // The address may hold a key.
            Err(error) if error.is_timeout() => Some("it did not answer in time".to_owned()),
            Err(error) if error.is_connect() => Some("it cannot be reached".to_owned()),
            Err(_) => Some("the connection broke".to_owned()),
        };
        let was_away = self.is_away.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(reason) if !was_away => warn!(reason, "The collector takes no traces; jobs go on without them"),
            None if was_away => info!("The collector takes traces again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let outcome = self.runtime.block_on(self.send(request));
        self.note(&outcome);
        outcome.map_err(|error| error.without_url().into())
    }
}
