//! How a worker works.

use std::time::Duration;

use jobs::WorkerId;
use uuid::Uuid;

use crate::vitals::Vitals;

/// How a worker works. How long a lease lasts and how often a job is tried is the store's [`Policy`](jobs::Policy).
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// What the worker calls itself in the job's row, its events and the logs.
    pub id: WorkerId,
    /// Jobs worked on at the same time.
    pub concurrency: usize,
    /// How often a lease is renewed: a third of a lease leaves room for two that fail.
    pub heartbeat: Duration,
    /// How often a running job is asked whether somebody wants it to end, or another worker has it.
    pub check: Duration,
    /// How long to wait for the bell before looking anyway.
    pub idle: Duration,
    /// How often to look for what no bell rings for: retries that come due, and lost workers.
    pub sweep: Duration,
    /// Upper bound of the wait before the second attempt; it doubles with each one.
    pub first_backoff: Duration,
    /// Largest upper bound of the wait before an attempt.
    pub max_backoff: Duration,
    /// How long no job is claimed after the model service refused our key; it doubles each time that it does again.
    pub refusal_pause: Duration,
    /// Where the worker leaves its signs of life.
    pub vitals: Vitals,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            id: WorkerId::new(format!("worker-{}", Uuid::now_v7())),
            concurrency: 4,
            heartbeat: Duration::from_secs(5),
            check: Duration::from_secs(1),
            idle: Duration::from_secs(5),
            sweep: Duration::from_secs(3),
            first_backoff: Duration::from_secs(5),
            max_backoff: Duration::from_mins(1),
            refusal_pause: Duration::from_secs(10),
            vitals: Vitals::default(),
        }
    }
}
