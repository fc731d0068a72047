//! One who watches a job.

use std::sync::Arc;

use domain::JobId;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

use super::Changes;
use super::watched::WatchedJob;
use crate::error::StoreError;
use crate::event::JobEvent;
use crate::live::LiveEvent;
use crate::store::Store;

/// What one who watches a job is told.
#[derive(Debug, Clone)]
pub enum News {
    /// The job may have changed: its row and its events say whether it has.
    Changed,
    /// Something that is not stored.
    Live(Arc<LiveEvent>),
}

/// One who watches a job. Whatever happens to the job after it was made is told: make it first, then read the job.
#[derive(Debug)]
pub struct Watch {
    changes: Changes,
    store: Store,
    job: Arc<WatchedJob>,
    messages: Receiver<News>,
}

impl Watch {
    pub(super) fn new(changes: Changes, store: Store, id: JobId) -> Self {
        let (job, messages) = changes.0.watched.join(id);
        Self { changes, store, job, messages }
    }

    /// Waits for news: at once if there was some since the last call. A change is told within about a second even if
    /// every hint of it is lost, and may be told more than once or for nothing. May be dropped and called again.
    pub async fn next(&mut self) -> News {
        match self.messages.recv().await {
            Ok(news) => news,
            // The sender is in `job`, so that it is never closed. What was missed may have been anything.
            Err(RecvError::Lagged(_) | RecvError::Closed) => News::Changed,
        }
    }

    /// Waits until the job may have changed since the last call, but not beyond `deadline`; tells whether it may have.
    pub async fn changed(&mut self, deadline: Instant) -> bool {
        let change = async { while !matches!(self.next().await, News::Changed) {} };
        timeout_at(deadline, change).await.is_ok()
    }

    /// The events after the one numbered `after_seq`, in order, at most 500: read from the database once for all in this
    /// process who watch the job. None means that there is nothing new until the next [`News::Changed`].
    pub async fn events(&self, after_seq: u64) -> Result<Vec<Arc<JobEvent>>, StoreError> {
        self.job.tail.after(&self.job, &self.store, after_seq).await
    }

    /// Whether the job was deleted meanwhile.
    pub fn is_gone(&self) -> bool {
        self.job.is_gone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.changes.0.watched.leave(&self.job);
    }
}
