//! What every handler has at hand.

use std::sync::Arc;
use std::time::Duration;

use egress::Egress;
use jobs::{Jobs, Limits};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::auth::Authenticator;
use crate::figures::FigureReader;
use crate::limits::Rates;
use crate::origins::{AllowedOrigins, Origin};

/// Streams of events that are open at a time: a few kilobytes each, and a connection, of which `server` keeps more.
pub(crate) const MAX_STREAMS: usize = 4096;

/// What every handler has at hand. Clones share the same store and the same policy.
#[derive(Clone)]
pub struct ApiState {
    /// Where jobs live.
    pub(crate) jobs: Jobs,
    /// Which addresses this server talks to: a job for another one is refused at once.
    pub(crate) egress: Egress,
    /// Who holds which key.
    pub(crate) keys: Arc<Authenticator>,
    /// What a key may do that has no limits of its own.
    pub(crate) limits: Limits,
    /// What they have done lately.
    pub(crate) rates: Arc<Rates>,
    /// What is in the queue.
    pub(crate) figures: Arc<FigureReader>,
    /// Writes what this process has counted.
    pub(crate) metrics: MetricsText,
    /// How the worker of this process does, if it has one.
    pub(crate) worker: Option<LookAtWorker>,
    /// How patient the server is.
    pub(crate) pace: Pace,
    /// Whose web pages may use this server.
    pub(crate) origins: AllowedOrigins,
    /// Whether only this machine is to reach the server, as long as it is open.
    pub(crate) is_for_this_machine: bool,
    /// Room for streams of events.
    pub(crate) streams: Arc<Semaphore>,
    /// The server ends: what would go on for long ends too.
    pub(crate) closing: CancellationToken,
}

/// How patient the server is with clients that are silent or slow.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Longest silence of a stream of events.
    pub ping: Duration,
    /// Longest time that a client may take nothing of what is sent to it.
    pub write_timeout: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { ping: Duration::from_secs(15), write_timeout: Duration::from_secs(30) }
    }
}

/// What a process has counted, as Prometheus reads it.
pub(crate) type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// How a worker does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerHealth {
    /// What stands still in it, if anything does.
    pub stalled: Option<&'static str>,
    /// Whether the model service refuses its key.
    pub is_refused_by_model: bool,
}

/// Tells how a worker does.
pub(crate) type LookAtWorker = Arc<dyn Fn() -> WorkerHealth + Send + Sync>;

impl ApiState {
    /// An API over these jobs, for repositories at these addresses, with the default limits.
    pub fn new(jobs: Jobs, egress: Egress) -> Self {
        Self {
            keys: Arc::new(Authenticator::new(jobs.clone())),
            figures: Arc::new(FigureReader::new(jobs.clone())),
            metrics: Arc::new(String::new),
            jobs,
            egress,
            limits: Limits::default(),
            rates: Arc::default(),
            worker: None,
            pace: Pace::default(),
            origins: AllowedOrigins::default(),
            is_for_this_machine: false,
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            closing: CancellationToken::new(),
        }
    }

    /// The same API with other limits for keys that have none of their own.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same API, open to web pages of these origins too.
    #[must_use]
    pub fn with_origins(self, origins: impl IntoIterator<Item = Origin>) -> Self {
        Self { origins: origins.into_iter().collect(), ..self }
    }

    /// The same API, for this machine only as long as it is open: whoever has no key must ask for it by an address or by
    /// `localhost`.
    #[must_use]
    pub fn for_this_machine(self) -> Self {
        Self { is_for_this_machine: true, ..self }
    }

    /// The same API with another patience.
    #[must_use]
    pub fn with_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// The same API, which shows what the process has counted: `text` writes it as Prometheus reads it.
    #[must_use]
    pub fn with_metrics(self, text: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { metrics: Arc::new(text), ..self }
    }

    /// The same API in a process that also works on jobs: its health is that of its worker too.
    #[must_use]
    pub fn beside_worker(self, health: impl Fn() -> WorkerHealth + Send + Sync + 'static) -> Self {
        Self { worker: Some(Arc::new(health)), ..self }
    }
}
