//! Tells whoever watches a job that it may have changed, and what its worker says meanwhile.
//!
//! It carries no truth: the rows do, and a hint only says that reading them may be worth while. A hint that is lost costs
//! a watcher at most one period of `poll`, so telling never fails and never waits. Within one process a hint is a message
//! to those who watch; with Redis it also goes, after the commit, through one channel per job to the other processes that
//! watch it. Postgres' own `NOTIFY` would take one lock for the whole cluster at each commit.

mod poll;
mod redis;
mod tail;
mod watch;
mod watched;

use std::sync::{Arc, Mutex, PoisonError};

use domain::JobId;
use tokio::task::JoinSet;

use self::redis::Remote;
use self::watched::Watched;
use crate::error::StoreError;
use crate::live::LiveEvent;
use crate::store::Store;

pub use watch::{News, Watch};

/// Where changes are told, and where they are heard. Clones share both.
#[derive(Debug, Clone)]
pub(crate) struct Changes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    watched: Arc<Watched>,
    remote: Option<Arc<Remote>>,
    /// What listens and polls for those who watch: begun with the first of them, ended when this is dropped.
    ears: Mutex<JoinSet<()>>,
}

impl Changes {
    /// Changes that are heard in this process.
    pub(crate) fn local() -> Self {
        Self::new(None)
    }

    /// Changes that are heard in every process that uses the same Redis. Connects when it is first used.
    pub(crate) fn redis(url: &str) -> Result<Self, StoreError> {
        let remote = Remote::new(url).map_err(StoreError::RedisAddress)?;
        Ok(Self::new(Some(Arc::new(remote))))
    }

    fn new(remote: Option<Arc<Remote>>) -> Self {
        Self(Arc::new(Inner { watched: Arc::default(), remote, ears: Mutex::default() }))
    }

    /// The job may have changed: to be said after the commit. Returns at once. Must be called on a Tokio runtime.
    pub(crate) fn tell_change(&self, id: JobId) {
        self.0.watched.tell(id, &News::Changed);
        if let Some(remote) = &self.0.remote {
            remote.send(id, None);
        }
    }

    /// Something that is not stored. Returns at once. Must be called on a Tokio runtime.
    pub(crate) fn tell_live(&self, id: JobId, live: LiveEvent) {
        let live = Arc::new(live);
        self.0.watched.tell(id, &News::Live(live.clone()));
        if let Some(remote) = &self.0.remote {
            remote.send(id, Some(live));
        }
    }

    /// Watches a job from now on. Must be called on a Tokio runtime, which then listens and polls for all who watch.
    pub(crate) fn watch(&self, store: &Store, id: JobId) -> Watch {
        let mut ears = self.0.ears.lock().unwrap_or_else(PoisonError::into_inner);
        if ears.is_empty() {
            ears.spawn(poll::poll(self.0.watched.clone(), store.clone()));
            if let Some(remote) = &self.0.remote {
                ears.spawn(remote.clone().listen(self.0.watched.clone()));
            }
        }
        drop(ears);
        Watch::new(self.clone(), store.clone(), id)
    }
}
