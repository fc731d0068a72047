//! What the server was asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::lock;

/// Which step of a fetch a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `GET …/info/refs?service=git-upload-pack`.
    Advertisement,
    /// `POST …/git-upload-pack` with the v2 command `ls-refs`.
    LsRefs,
    /// `POST …/git-upload-pack` that asks for a pack.
    Fetch,
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The step of a fetch; absent for anything else.
    pub stage: Option<Stage>,
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The `Authorization` header, as sent.
    pub authorization: Option<String>,
    /// The `Git-Protocol` header, as sent.
    pub git_protocol: Option<String>,
    /// The body, decompressed.
    pub request: Vec<u8>,
    /// Bytes of the answer's body that were handed to the connection.
    pub response_bytes: u64,
}

#[derive(Default)]
pub(crate) struct Ledger {
    lines: Mutex<Vec<(Exchange, Arc<AtomicU64>)>>,
}

impl Ledger {
    /// Notes a request; the counter takes the bytes of its answer.
    pub(crate) fn note(&self, exchange: Exchange) -> Arc<AtomicU64> {
        let counter = Arc::new(AtomicU64::new(0));
        lock(&self.lines).push((exchange, Arc::clone(&counter)));
        counter
    }

    pub(crate) fn read(&self) -> Vec<Exchange> {
        let with_bytes = |(exchange, counter): &(Exchange, Arc<AtomicU64>)| Exchange {
            response_bytes: counter.load(Ordering::Relaxed),
            ..exchange.clone()
        };
        lock(&self.lines).iter().map(with_bytes).collect()
    }
}
