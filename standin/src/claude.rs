//! A stand-in for the Messages API of Claude.
//!
//! [`ClaudeServer`] keeps the rules of the API and refuses what it would refuse, streams as it does, counts tokens,
//! caches prompts and sends the bill. What the "model" says is not its business: that comes from a [`Script`], or
//! from a [`Recording`]. Nothing it answers says anything about how well a model works.
//!
//! Tokens are counted as bytes divided by 3.2. Rate limits are not enforced; a script can answer with them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

mod cache;
mod ledger;
mod message;
mod models;
mod prompt;
mod recording;
mod reply;
mod routes;
mod rules;
mod signature;
mod state;
mod stream;
mod tokens;
mod view;

pub use ledger::{BilledUsage, Exchange};
pub use recording::{Recording, RecordingError};
pub use reply::{Break, Fault, Reply};
pub use view::{RequestView, ToolResult};

use recording::Recorder;
use state::{Answers, State};

use crate::without_delay;

/// What the "model" says: one reply to each request that keeps the rules.
pub trait Script: Send + Sync + 'static {
    /// The reply to a request.
    fn reply(&self, request: &RequestView) -> Reply;
}

impl<F: Fn(&RequestView) -> Reply + Send + Sync + 'static> Script for F {
    fn reply(&self, request: &RequestView) -> Reply {
        self(request)
    }
}

/// How a server differs from the usual.
#[derive(Debug, Clone)]
pub struct Options {
    /// The only key that is accepted; any when absent.
    pub api_key: Option<String>,
    /// Whether `/v1/models/{id}` is there. Many gateways have none.
    pub lists_models: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { api_key: None, lists_models: true }
    }
}

/// A running stand-in. It stops when this is dropped.
#[derive(Debug)]
pub struct ClaudeServer {
    address: SocketAddr,
    state: Arc<State>,
    task: AbortHandle,
}

impl ClaudeServer {
    /// Starts a server on a free port of 127.0.0.1 that answers by a script.
    pub async fn start(script: impl Script) -> std::io::Result<Self> {
        Self::start_with(Options::default(), script).await
    }

    /// The same, with options.
    pub async fn start_with(options: Options, script: impl Script) -> std::io::Result<Self> {
        Self::serve(options, Answers::Script(Box::new(script))).await
    }

    /// Starts a server that answers exactly the requests of a recording. Any other gets a 400 that says the recording
    /// is stale and names the request's hash.
    pub async fn replay(recording: Arc<Recording>) -> std::io::Result<Self> {
        Self::serve(Options::default(), Answers::Replay(recording)).await
    }

    /// Starts a server that answers from a recording and asks for what is not in it: it writes the request to
    /// `<folder>/<nnn>-<hash>.request.json`, waits for `<folder>/<nnn>-<hash>.answer.json`
    /// (`{"content":[…],"stop_reason":"…"}`), and replies with that. The answer is then part of the recording.
    pub async fn record(folder: &Path, longest_wait: Duration) -> Result<Self, RecordingError> {
        let recorder = Recorder::open(folder, longest_wait)?;
        Self::serve(Options::default(), Answers::Record(Arc::new(recorder))).await.map_err(RecordingError::Listen)
    }

    async fn serve(options: Options, answers: Answers) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::new(options, answers));
        let app = routes::router(Arc::clone(&state));
        let task = tokio::spawn(async move { axum::serve(listener.tap_io(without_delay), app).await }).abort_handle();
        Ok(Self { address, state, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL for clients, without `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in order of arrival.
    pub fn ledger(&self) -> Vec<Exchange> {
        self.state.ledger.all()
    }

    /// The bill so far, in nano-dollars.
    pub fn cost_nanos(&self) -> i64 {
        self.state.ledger.all().iter().map(|exchange| exchange.cost_nanos).sum()
    }

    /// Waits until so many requests have arrived.
    pub async fn arrived(&self, requests: usize) {
        self.state.ledger.arrived(requests).await;
    }

    /// Lets time pass for the prompt cache.
    pub fn advance(&self, time: Duration) {
        self.state.advance(time);
    }
}

impl Drop for ClaudeServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
