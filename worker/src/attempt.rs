//! One attempt at a job: the work, with everything that may end it beside it, and then the word on how it ended.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use domain::{Failure, FailureCode, JobResult};
use futures::FutureExt;
use jobs::{ClaimedJob, Jobs, Requeued, StoreError};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info, info_span, warn};

use crate::config::WorkerConfig;
use crate::heartbeat::{Heart, Stop};
use crate::journal::LeaseJournal;
use crate::patience::write_patiently;
use crate::progress::Teller;
use crate::retry;
use crate::work::{Work, WorkError};

/// What every attempt of a worker needs.
pub(crate) struct Attempts {
    pub(crate) jobs: Jobs,
    pub(crate) work: Work,
    pub(crate) config: WorkerConfig,
    pub(crate) heart: Heart,
    pub(crate) shutdown: CancellationToken,
}

/// How an attempt ended.
enum End {
    Succeeded(JobResult),
    Failed { failure: Failure, retry_after: Option<Duration> },
    CancelRequested,
    ShuttingDown,
    LeaseLost,
}

impl Attempts {
    /// Makes one attempt. Whatever happens, the job's row says so in the end, or another worker has the job.
    pub(crate) async fn run(&self, job: ClaimedJob) {
        let span = info_span!("job.attempt", job.id = %job.id, job.attempt = job.attempt);
        self.run_in_span(job).instrument(span).await;
    }

    async fn run_in_span(&self, job: ClaimedJob) {
        info!(job.rescues = job.rescues, "Claimed the job");
        let start = Instant::now();
        // It beats until the end is written.
        let mut pulse = self.heart.keep(job.lease);
        // What is dropped stops: the work's stream to the model is closed at once.
        let end = tokio::select! {
            // A result that is there counts, whatever else happens at the same moment.
            biased;
            end = self.work(&job) => end,
            () = self.shutdown.cancelled() => End::ShuttingDown,
            stop = pulse.stopped() => match stop {
                Stop::LeaseLost => End::LeaseLost,
                Stop::CancelRequested => End::CancelRequested,
            },
            () = sleep(job.time_left) => deadline_exceeded(job.spec.timeout_seconds),
        };
        match write_patiently(&self.jobs, || self.write_end(&job, &end)).await {
            Ok(()) => {
                let duration_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
                info!(duration_ms, "The attempt is over");
            }
            Err(StoreError::LeaseLost) => warn!("Another worker has the job; the attempt's end is not written"),
            Err(error) => error!(error = &error as &dyn Error, "Cannot write how the attempt ended"),
        }
    }

    async fn work(&self, job: &ClaimedJob) -> End {
        let journal = LeaseJournal { jobs: self.jobs.clone(), lease: job.lease };
        let teller = Teller::start(&self.jobs, job.id);
        let work = async { self.work.start(job.spec.clone(), Arc::new(journal), teller.progress()).await };
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(result)) => End::Succeeded(result),
            Ok(Err(WorkError::LeaseLost)) => End::LeaseLost,
            Ok(Err(WorkError::Failed { failure, retry_after })) => End::Failed { failure, retry_after },
            Err(panic) => {
                let message = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(|s| &**s));
                error!(panic = message.unwrap_or_default(), "The work on the job panicked");
                let failure = Failure::new(FailureCode::Internal, "a defect in tinygen broke the attempt off");
                End::Failed { failure, retry_after: None }
            }
        }
    }

    /// Writes how the attempt ended.
    async fn write_end(&self, job: &ClaimedJob, end: &End) -> Result<(), StoreError> {
        match end {
            End::Succeeded(result) => self.jobs.succeed(&job.lease, result).await,
            End::Failed { failure, retry_after } if failure.code == FailureCode::ModelRateLimited => {
                let delay = retry::postponement(&self.config, *retry_after);
                let is_last = self.jobs.postpone(&job.lease, failure, delay).await? != Requeued::Retrying;
                warn!(failure.code = %failure.code, is_last, ?delay, "The model service limits our rate");
                Ok(())
            }
            End::Failed { failure, retry_after } if failure.code.is_retryable() => {
                let delay = retry::delay(&self.config, job.attempt, *retry_after);
                let requeued = self.jobs.requeue(&job.lease, failure, delay).await?;
                let is_last = requeued != Requeued::Retrying;
                warn!(failure.code = %failure.code, is_last, ?delay, "The attempt failed");
                Ok(())
            }
            End::Failed { failure, .. } => {
                warn!(failure.code = %failure.code, "The job failed");
                self.jobs.fail(&job.lease, failure).await
            }
            End::CancelRequested => self.jobs.confirm_cancel(&job.lease).await,
            End::ShuttingDown => self.jobs.release(&job.lease).await,
            End::LeaseLost => Err(StoreError::LeaseLost),
        }
    }
}

fn deadline_exceeded(timeout_seconds: u32) -> End {
    let message = format!("the work on the job took longer than {timeout_seconds} seconds");
    End::Failed { failure: Failure::new(FailureCode::DeadlineExceeded, message), retry_after: None }
}
