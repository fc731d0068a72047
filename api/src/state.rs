//! What every handler has at hand.

use std::sync::Arc;

use egress::Egress;
use jobs::Jobs;
use tokio_util::sync::CancellationToken;

/// What every handler has at hand. Clones share the same store and the same policy.
#[derive(Clone)]
pub struct ApiState {
    /// Where jobs live.
    pub(crate) jobs: Jobs,
    /// Which addresses this server talks to: a job for another one is refused at once.
    pub(crate) egress: Egress,
    /// The server ends: what would go on for long ends too.
    pub(crate) closing: CancellationToken,
    /// What stands still in the worker of this process, if it has one and something does.
    pub(crate) stalled: Stalled,
}

/// Says what stands still in a worker, if anything does.
pub(crate) type Stalled = Option<Arc<dyn Fn() -> Option<&'static str> + Send + Sync>>;

impl ApiState {
    /// An API over these jobs, for repositories at these addresses.
    pub fn new(jobs: Jobs, egress: Egress) -> Self {
        Self { jobs, egress, closing: CancellationToken::new(), stalled: None }
    }

    /// The same API in a process that also works on jobs: its health is that of its worker too. `stalled` says what
    /// stands still there, if anything does.
    #[must_use]
    pub fn beside_worker(self, stalled: impl Fn() -> Option<&'static str> + Send + Sync + 'static) -> Self {
        Self { stalled: Some(Arc::new(stalled)), ..self }
    }
}
