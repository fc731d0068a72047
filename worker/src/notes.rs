//! Notes that a stage began: taken from the pipeline's progress, which must not wait, and written as events.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use domain::StageKey;
use jobs::{Jobs, Lease, StoreError};
use pipeline::{Progress, ProgressEvent};
use tokio::sync::Notify;
use tracing::warn;

/// The notes of one attempt that are not written yet.
pub(crate) struct Notes {
    jobs: Jobs,
    lease: Lease,
    waiting: Mutex<VecDeque<StageKey>>,
    arrived: Notify,
    /// Held while notes are written, so that who finds none waiting knows that all are written.
    writing: tokio::sync::Mutex<()>,
}

impl Notes {
    /// No notes yet.
    pub(crate) fn new(jobs: Jobs, lease: Lease) -> Arc<Self> {
        let (waiting, arrived) = (Mutex::default(), Notify::new());
        Arc::new(Self { jobs, lease, waiting, arrived, writing: tokio::sync::Mutex::default() })
    }

    /// Takes the notes from the pipeline. That a stage or a call is done is told with its own row; text is for those
    /// who watch a run in their own process.
    pub(crate) fn progress(self: &Arc<Self>) -> Progress {
        let notes = self.clone();
        Arc::new(move |event| match event {
            ProgressEvent::StageStarted { key } => {
                notes.waiting().push_back(key);
                notes.arrived.notify_one();
            }
            ProgressEvent::StageFinished { .. } | ProgressEvent::CallSettled { .. } | ProgressEvent::Text { .. } => {}
        })
    }

    /// Writes notes as they arrive, until the lease is lost. A note that cannot be written is no reason to stop a job.
    pub(crate) async fn keep_writing(&self) {
        loop {
            self.arrived.notified().await;
            match self.write_waiting().await {
                Ok(()) => {}
                Err(StoreError::LeaseLost) => return,
                Err(error) => warn!(error = &error as &dyn std::error::Error, "Cannot note that a stage began"),
            }
        }
    }

    /// Writes the notes that wait. When this returns well, every note taken before is written: a stage's beginning is
    /// told before its end.
    pub(crate) async fn write_waiting(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        loop {
            let Some(key) = self.waiting().pop_front() else { return Ok(()) };
            self.jobs.start_stage(&self.lease, &key).await?;
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<StageKey>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
