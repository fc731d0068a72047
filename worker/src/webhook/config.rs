//! How webhooks are delivered.

use std::time::Duration;

use jobs::WorkerId;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// How webhooks are delivered. What holds for all workers together, such as how many messages are on their way to one
/// receiver, is the store's [`WebhookPolicy`](jobs::WebhookPolicy).
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// What the worker calls itself in the delivery's row.
    pub id: WorkerId,
    /// Messages on their way at the same time.
    pub concurrency: usize,
    /// Places among them that receivers cannot take that failed or were slow last time.
    pub kept_for_quick: usize,
    /// The longest that an exchange may take: name lookup, connection, request and answer; less than a lease.
    pub deadline: Duration,
    /// The waits before the second and every further try: there is one try more than waits.
    pub waits: Vec<Duration>,
    /// How far a wait may be from its place in the schedule, as a part of it: messages that failed together should not
    /// come back together.
    pub jitter: f64,
    /// The shortest wait after an answer that tells of overload, or none at all.
    pub overload_wait: Duration,
    /// The longest wait that a receiver may ask for.
    pub max_retry_after: Duration,
    /// How long to wait for a call, or for a message that is due again, before looking anyway.
    pub idle: Duration,
    /// How often to remove what is kept no longer.
    pub sweep: Duration,
}

/// The schedule that Standard Webhooks suggests: 10 tries over 75 hours and a half.
impl Default for WebhookConfig {
    fn default() -> Self {
        Self {
            id: WorkerId::new(format!("courier-{}", Uuid::now_v7())),
            concurrency: 64,
            kept_for_quick: 16,
            deadline: Duration::from_secs(15),
            waits: vec![
                Duration::from_secs(5),
                5 * MINUTE,
                30 * MINUTE,
                2 * HOUR,
                5 * HOUR,
                10 * HOUR,
                14 * HOUR,
                20 * HOUR,
                24 * HOUR,
            ],
            jitter: 0.2,
            overload_wait: MINUTE,
            max_retry_after: 24 * HOUR,
            idle: Duration::from_secs(2),
            sweep: MINUTE,
        }
    }
}
