//! A bell within one process.

use std::sync::Arc;
use std::time::Duration;

use domain::JobId;
use tokio::sync::Notify;
use tokio::time::timeout;

#[derive(Debug, Clone, Default)]
pub(crate) struct LocalBell(Arc<Notify>);

impl LocalBell {
    /// A waiting worker that is woken claims until nothing is due, so one stored ring is enough for any number of jobs.
    pub(super) fn ring(&self, jobs: &[JobId]) {
        for _ in jobs {
            self.0.notify_one();
        }
    }

    pub(super) async fn wait(&self, idle: Duration) {
        let _rung_or_idle = timeout(idle, self.0.notified()).await;
    }
}
