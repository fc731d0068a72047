//! What every handler has at hand.

use std::sync::Arc;

use egress::Egress;
use jobs::{Jobs, Limits};

use crate::auth::Authenticator;
use crate::limits::Rates;

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
    /// What stands still in the worker of this process, if it has one and something does.
    pub(crate) stalled: Stalled,
}

/// Says what stands still in a worker, if anything does.
pub(crate) type Stalled = Option<Arc<dyn Fn() -> Option<&'static str> + Send + Sync>>;

impl ApiState {
    /// An API over these jobs, for repositories at these addresses, with the default limits.
    pub fn new(jobs: Jobs, egress: Egress) -> Self {
        let keys = Arc::new(Authenticator::new(jobs.clone()));
        Self { jobs, egress, keys, limits: Limits::default(), rates: Arc::default(), stalled: None }
    }

    /// The same API with other limits for keys that have none of their own.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same API in a process that also works on jobs: its health is that of its worker too. `stalled` says what
    /// stands still there, if anything does.
    #[must_use]
    pub fn beside_worker(self, stalled: impl Fn() -> Option<&'static str> + Send + Sync + 'static) -> Self {
        Self { stalled: Some(Arc::new(stalled)), ..self }
    }
}
