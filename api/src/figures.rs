//! What the tables say of the queue, read for all who ask at most once a second: it costs more the more waits.

use std::time::Duration;

use jobs::{Jobs, QueueStats, StoreError, WebhookStats};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long what was read holds.
const FRESH: Duration = Duration::from_secs(1);

/// The queue, and what waits for receivers of webhooks.
#[derive(Clone, Default)]
pub(crate) struct Figures {
    pub(crate) queue: QueueStats,
    pub(crate) webhooks: WebhookStats,
}

/// Reads figures. The lock is held while they are read, so that of all who ask at once the first one reads and the others
/// find what it read.
pub(crate) struct FigureReader {
    jobs: Jobs,
    read: Mutex<Option<(Instant, Figures)>>,
}

impl FigureReader {
    pub(crate) fn new(jobs: Jobs) -> Self {
        Self { jobs, read: Mutex::default() }
    }

    /// The figures, not older than a second.
    pub(crate) async fn get(&self) -> Result<Figures, StoreError> {
        let mut read = self.read.lock().await;
        if let Some((_, figures)) = read.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(figures.clone());
        }
        let (queue, webhooks) = tokio::try_join!(self.jobs.queue_stats(), self.jobs.webhook_stats())?;
        let figures = Figures { queue, webhooks };
        *read = Some((Instant::now(), figures.clone()));
        Ok(figures)
    }
}
