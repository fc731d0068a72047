//! A bell within one process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

#[derive(Debug, Clone, Default)]
pub(crate) struct LocalBell(Arc<Notify>);

impl LocalBell {
    /// A waiting worker that is woken claims until nothing is due, so one stored ring is enough for any number of jobs.
    pub(super) fn ring(&self, times: usize) {
        for _ in 0..times {
            self.0.notify_one();
        }
    }

    /// Gives whether there was a ring.
    pub(super) async fn wait(&self, idle: Duration) -> bool {
        timeout(idle, self.0.notified()).await.is_ok()
    }
}
