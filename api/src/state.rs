//! What every handler has at hand.

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
}

impl ApiState {
    /// An API over these jobs, for repositories at these addresses.
    pub fn new(jobs: Jobs, egress: Egress) -> Self {
        Self { jobs, egress, closing: CancellationToken::new() }
    }
}
