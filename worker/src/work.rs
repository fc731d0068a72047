//! What a worker does with a job: the boundary to the pipeline.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::{Failure, JobResult, JobSpec};
use futures::FutureExt;
use futures::future::BoxFuture;
use pipeline::{Journal, Pipeline, PipelineError, Progress};
use tracing::warn;

/// What a worker does with a job. It is a [`Pipeline`]; a test may put a function of its own in its place.
#[derive(Clone)]
pub struct Work(Arc<WorkFn>);

type WorkFn =
    dyn Fn(JobSpec, Arc<dyn Journal>, Progress) -> BoxFuture<'static, Result<JobResult, WorkError>> + Send + Sync;

/// Why the work on a job came to no result: one variant per reaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkError {
    /// Another worker holds the job: write nothing.
    LeaseLost,
    /// The attempt failed; the failure's code says whether another one may help.
    Failed {
        /// Why.
        failure: Failure,
        /// How long to wait at least before another attempt.
        retry_after: Option<Duration>,
    },
}

impl Work {
    /// Work that a function does. Dropping its future must stop the work.
    pub fn new<F>(work: F) -> Self
    where
        F: Fn(JobSpec, Arc<dyn Journal>, Progress) -> BoxFuture<'static, Result<JobResult, WorkError>>
            + Send
            + Sync
            + 'static,
    {
        Self(Arc::new(work))
    }

    /// Begins the work.
    pub(crate) fn start(
        &self,
        spec: JobSpec,
        journal: Arc<dyn Journal>,
        progress: Progress,
    ) -> BoxFuture<'static, Result<JobResult, WorkError>> {
        (self.0)(spec, journal, progress)
    }
}

impl From<Pipeline> for Work {
    fn from(pipeline: Pipeline) -> Self {
        Self::new(move |spec, journal, progress| {
            let pipeline = pipeline.clone();
            async move { pipeline.run(&spec, journal, progress).await.map_err(|error| work_error(&error)) }.boxed()
        })
    }
}

fn work_error(error: &PipelineError) -> WorkError {
    if error.is_lease_lost() {
        return WorkError::LeaseLost;
    }
    // The failure that the caller sees holds no causes: they are told here and nowhere else.
    warn!(error = error as &dyn Error, "The pipeline came to no result");
    WorkError::Failed { failure: error.failure(), retry_after: error.retry_after() }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}
