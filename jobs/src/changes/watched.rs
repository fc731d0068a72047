//! The jobs that are watched in this process, and the messages to those who watch them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::JobId;
use tokio::sync::{broadcast, watch};

use super::tail::Tail;
use super::watch::News;

/// Messages that wait for one who watches and is slow. Who misses some is told that the job may have changed; pieces of
/// text are lost to them.
const MAX_WAITING: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Watched {
    jobs: Mutex<HashMap<JobId, Arc<WatchedJob>>>,
    /// Turns whenever a job is watched first or left by the last.
    turned: watch::Sender<()>,
}

/// A job that somebody watches.
#[derive(Debug)]
pub(super) struct WatchedJob {
    pub(super) id: JobId,
    messages: broadcast::Sender<News>,
    /// How often it was told that the job may have changed.
    hints: AtomicU64,
    /// The newest version that was read or polled.
    known: AtomicU64,
    is_gone: AtomicBool,
    pub(super) tail: Tail,
}

impl Watched {
    /// The job's entry, made if need be, and a receiver of its messages.
    pub(super) fn join(&self, id: JobId) -> (Arc<WatchedJob>, broadcast::Receiver<News>) {
        let mut jobs = self.lock();
        let job = jobs.entry(id).or_insert_with(|| {
            self.turned.send_replace(());
            Arc::new(WatchedJob::new(id))
        });
        (job.clone(), job.messages.subscribe())
    }

    /// Forgets the job when nobody is left that watches it. To be called by who leaves, before it drops its receiver.
    pub(super) fn leave(&self, job: &WatchedJob) {
        let mut jobs = self.lock();
        if job.messages.receiver_count() == 1 {
            jobs.remove(&job.id);
            self.turned.send_replace(());
        }
    }

    /// Tells those who watch the job, if there are any.
    pub(super) fn tell(&self, id: JobId, news: &News) {
        let job = self.lock().get(&id).cloned();
        if let Some(job) = job {
            job.tell(news.clone());
        }
    }

    /// The jobs that are watched.
    pub(super) fn jobs(&self) -> Vec<Arc<WatchedJob>> {
        self.lock().values().cloned().collect()
    }

    /// Turns whenever [`Self::jobs`] becomes another list.
    pub(super) fn turns(&self) -> watch::Receiver<()> {
        self.turned.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Arc<WatchedJob>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WatchedJob {
    fn new(id: JobId) -> Self {
        Self {
            id,
            messages: broadcast::Sender::new(MAX_WAITING),
            hints: AtomicU64::new(0),
            known: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
            tail: Tail::default(),
        }
    }

    pub(super) fn tell(&self, news: News) {
        if matches!(news, News::Changed) {
            self.hints.fetch_add(1, Ordering::SeqCst);
        }
        // Whoever watched may have left meanwhile.
        let _ = self.messages.send(news);
    }

    /// How often it was told that the job may have changed.
    pub(super) fn hints(&self) -> u64 {
        self.hints.load(Ordering::SeqCst)
    }

    /// The job's row said this: it is told if it is news.
    pub(super) fn found(&self, version: Option<u64>) {
        let is_news = match version {
            Some(version) => self.known.fetch_max(version, Ordering::SeqCst) < version,
            None => !self.is_gone.swap(true, Ordering::SeqCst),
        };
        if is_news {
            self.tell(News::Changed);
        }
    }

    /// The job's events were read up to this one.
    pub(super) fn has_read(&self, seq: u64) {
        self.known.fetch_max(seq, Ordering::SeqCst);
    }

    /// Whether the job's row is not there any more.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::SeqCst)
    }
}
