//! The ledger: every request, what it used and what it cost.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

/// The counts of one call, as the API reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BilledUsage {
    /// Input after the last cache mark.
    pub input_tokens: u64,
    /// Input written to the cache: the sum of the two below.
    pub cache_creation_input_tokens: u64,
    /// Written for five minutes.
    pub ephemeral_5m_input_tokens: u64,
    /// Written for an hour.
    pub ephemeral_1h_input_tokens: u64,
    /// Input read from the cache.
    pub cache_read_input_tokens: u64,
    /// Output.
    pub output_tokens: u64,
}

/// One request and how it went.
#[derive(Debug, Clone, Serialize)]
pub struct Exchange {
    /// Its place in the server's life, from 0.
    pub number: usize,
    /// When it came.
    #[serde(skip)]
    pub arrived_at: SystemTime,
    /// `/v1/messages` or `/v1/messages/count_tokens`.
    pub path: String,
    /// SHA-256 of the body, in hexadecimal.
    pub sha256: String,
    /// The body as it came.
    #[serde(skip)]
    pub body: Bytes,
    /// The body, read; null when it is not JSON.
    pub request: Value,
    /// HTTP status of the answer; 0 while there is none.
    pub status: u16,
    /// What was wrong, when the request was refused or failed.
    pub error: Option<String>,
    /// Why the model stopped.
    pub stop_reason: Option<String>,
    /// What was billed. A call that breaks off is billed in full.
    pub usage: BilledUsage,
    /// What it cost, in nano-dollars.
    pub cost_nanos: i64,
}

/// All exchanges of a server.
#[derive(Debug)]
pub(super) struct Ledger {
    exchanges: Mutex<Vec<Exchange>>,
    count: watch::Sender<usize>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self { exchanges: Mutex::default(), count: watch::Sender::new(0) }
    }

    /// Notes that a request has arrived. Returns its number.
    pub(super) fn arrive(&self, path: &str, body: Bytes, sha256: String) -> usize {
        let mut exchanges = self.lock();
        let number = exchanges.len();
        exchanges.push(Exchange {
            number,
            arrived_at: SystemTime::now(),
            path: path.to_owned(),
            sha256,
            request: serde_json::from_slice(&body).unwrap_or_default(),
            body,
            status: 0,
            error: None,
            stop_reason: None,
            usage: BilledUsage::default(),
            cost_nanos: 0,
        });
        self.count.send_replace(exchanges.len());
        number
    }

    /// Adds what has become of a request.
    pub(super) fn note(&self, number: usize, note: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = self.lock().get_mut(number) {
            note(exchange);
        }
    }

    pub(super) fn all(&self) -> Vec<Exchange> {
        self.lock().clone()
    }

    pub(super) async fn arrived(&self, requests: usize) {
        // The sender lives as long as `self`, so the wait cannot fail.
        let _ = self.count.subscribe().wait_for(|count| *count >= requests).await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
