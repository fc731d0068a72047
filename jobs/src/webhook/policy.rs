//! The rules of delivery that the store keeps. How often and when a message is tried again is the worker's business.

use std::time::Duration;

/// The rules of delivery that the store keeps.
#[derive(Debug, Clone, Copy)]
pub struct WebhookPolicy {
    /// From a claim to the time at which another worker may send the message; longer than any exchange may take.
    pub lease: Duration,
    /// Messages on their way to one receiver at the same time.
    pub concurrency: u32,
    /// Failures in a row after which a receiver gets one message at a time, to probe it.
    pub breaker_failures: u32,
    /// Between two probes.
    pub probe_interval: Duration,
    /// How long a receiver may fail without one success before it is disabled.
    pub disable_after: Duration,
    /// An exchange that takes longer makes its receiver a slow one.
    pub slow_after: Duration,
    /// How long messages are signed with an old secret too.
    pub secret_overlap: Duration,
    /// How long deliveries are kept, whatever came of them.
    pub history: Duration,
}

impl Default for WebhookPolicy {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            concurrency: 4,
            breaker_failures: 5,
            probe_interval: Duration::from_mins(1),
            disable_after: Duration::from_hours(5 * 24),
            slow_after: Duration::from_secs(2),
            secret_overlap: Duration::from_hours(24),
            history: Duration::from_hours(30 * 24),
        }
    }
}
