//! The queue, as JSON.

use jobs::{QueueState, QueueStats};
use serde::Serialize;
use utoipa::ToSchema;

/// How much there is to do, and who is there to do it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "ready": 6, "delayed": 1, "running": 8, "dead": 0, "oldestReadySeconds": 12, "workers": 2, "slots": 8,
    "desiredWorkers": 4,
}))]
pub struct QueueStatsBody {
    /// Jobs that wait for a worker.
    pub ready: u64,
    /// Jobs that wait for the time of their next attempt.
    pub delayed: u64,
    /// Jobs that a worker has.
    pub running: u64,
    /// Jobs that were given up as `poisoned` and are not deleted yet.
    pub dead: u64,
    /// How long the longest waiting job could have been started; 0 when none waits.
    pub oldest_ready_seconds: u64,
    /// Workers that live.
    pub workers: u64,
    /// Jobs that they work on at the same time, all together.
    pub slots: u64,
    /// Workers that would work on all that is ready or runs at once.
    pub desired_workers: u64,
}

impl QueueStatsBody {
    /// What the API shows of a queue.
    pub fn new(queue: &QueueStats) -> Self {
        Self {
            ready: queue.count(QueueState::Ready),
            delayed: queue.count(QueueState::Delayed),
            running: queue.count(QueueState::Running),
            dead: queue.count(QueueState::Dead),
            oldest_ready_seconds: queue.oldest_ready.as_secs(),
            workers: queue.workers,
            slots: queue.slots,
            desired_workers: queue.desired_workers(),
        }
    }
}
