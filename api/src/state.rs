//! What every handler has at hand.

use egress::Egress;
use jobs::Jobs;

/// What every handler has at hand. Clones share the same store and the same policy.
#[derive(Clone)]
pub struct ApiState {
    /// Where jobs live.
    pub jobs: Jobs,
    /// Which addresses this server talks to: a job for another one is refused at once.
    pub egress: Egress,
}
