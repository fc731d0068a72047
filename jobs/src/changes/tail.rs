//! The newest events of a watched job, read once for all who watch it.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::watched::WatchedJob;
use crate::error::StoreError;
use crate::event::{JobEvent, MAX_EVENTS};
use crate::store::Store;

/// Events that are kept: who is further behind reads them from the database.
const MAX_KEPT: usize = 256;

/// The newest events of a job. The lock is held while they are read, so that of all who are woken by one change the first
/// one reads and the others find what it read.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Without a gap, the oldest first.
    events: VecDeque<Arc<JobEvent>>,
    /// The number of the last event that was read; absent before the first reading.
    last: Option<u64>,
    /// How many hints there had been when the newest events were read.
    hints: u64,
}

impl Tail {
    /// The events after `after_seq`, at most [`MAX_EVENTS`]; none when none were made since the last hint.
    pub(super) async fn after(
        &self,
        job: &WatchedJob,
        store: &Store,
        after_seq: u64,
    ) -> Result<Vec<Arc<JobEvent>>, StoreError> {
        let mut kept = self.0.lock().await;
        if let Some(newer) = kept.newer(after_seq, job.hints()) {
            return Ok(newer);
        }
        if kept.last.is_some_and(|last| last != after_seq) {
            // Somebody who begins: what they still have to read is nothing to the others.
            drop(kept);
            return read(store, job, after_seq).await;
        }
        let hints = job.hints();
        let newer = read(store, job, after_seq).await?;
        kept.add(&newer, after_seq);
        // After a full page there may be more.
        if newer.len() < MAX_EVENTS {
            kept.hints = hints;
        }
        Ok(newer)
    }
}

async fn read(store: &Store, job: &WatchedJob, after_seq: u64) -> Result<Vec<Arc<JobEvent>>, StoreError> {
    let events = store.events(job.id, after_seq, MAX_EVENTS).await?;
    if let Some(last) = events.last() {
        job.has_read(last.seq);
    }
    Ok(events.into_iter().map(Arc::new).collect())
}

impl Kept {
    /// The answer, if it is known without reading.
    fn newer(&self, after_seq: u64, hints: u64) -> Option<Vec<Arc<JobEvent>>> {
        let last = self.last?;
        if after_seq == last {
            return (self.hints == hints).then(Vec::new);
        }
        let first = self.events.front()?.seq;
        let is_kept = first <= after_seq + 1 && after_seq < last;
        is_kept.then(|| self.events.iter().filter(|event| event.seq > after_seq).cloned().collect())
    }

    fn add(&mut self, newer: &[Arc<JobEvent>], after_seq: u64) {
        self.events.extend(newer.iter().cloned());
        self.last = Some(newer.last().map_or(after_seq, |event| event.seq));
        let surplus = self.events.len().saturating_sub(MAX_KEPT);
        self.events.drain(..surplus);
    }
}
