//! The bell: tells waiting workers that there may be work.
//!
//! It carries no truth. A ring that is lost, doubled or late costs at most the time that a worker waits anyway; what is
//! due is decided by the claim alone.

use std::sync::Arc;
use std::time::Duration;

use domain::JobId;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Where rings go, and where they are waited for.
#[derive(Debug, Clone)]
pub(crate) enum Bell {
    /// The workers are in this process.
    Local(Arc<Notify>),
}

impl Bell {
    /// A bell for the workers of this process.
    pub(crate) fn local() -> Self {
        Self::Local(Arc::new(Notify::new()))
    }

    /// Wakes one waiting worker; when none waits, the next one to wait does not.
    pub(crate) fn ring(&self, _job: JobId) {
        match self {
            Self::Local(notify) => notify.notify_one(),
        }
    }

    /// Returns at the next ring, or after `idle`.
    pub(crate) async fn wait(&self, idle: Duration) {
        match self {
            Self::Local(notify) => {
                let _rung_or_idle = timeout(idle, notify.notified()).await;
            }
        }
    }
}
