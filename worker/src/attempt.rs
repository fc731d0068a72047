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
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, error, info, info_span, warn};

use crate::config::WorkerConfig;
use crate::heartbeat::{Heart, Stop};
use crate::journal::LeaseJournal;
use crate::patience::patiently;
use crate::progress::Teller;
use crate::retry;
use crate::tally::BusySlot;
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

impl End {
    /// The name in logs.
    fn name(&self) -> &'static str {
        match self {
            Self::Succeeded(_) => "succeeded",
            Self::Failed { .. } => "failed",
            Self::CancelRequested => "canceled",
            Self::ShuttingDown => "handed_back",
            Self::LeaseLost => "lease_lost",
        }
    }

    /// Why the attempt failed, for its span. Whoever canceled it, or shut the worker down, wanted that.
    fn record_in(&self, span: &Span) {
        let kind = match self {
            Self::Failed { failure, .. } => failure.code.as_str(),
            Self::LeaseLost => "lease_lost",
            Self::Succeeded(_) | Self::CancelRequested | Self::ShuttingDown => return,
        };
        span.record("error.type", kind);
        span.record("otel.status_code", "ERROR");
    }
}

impl Attempts {
    /// Makes one attempt. Whatever happens, the job's row says so in the end, or another worker has the job.
    pub(crate) async fn run(&self, job: ClaimedJob) {
        let _slot = BusySlot::take();
        let span = self.begin_span(&job);
        self.run_in_span(job).instrument(span).await;
    }

    /// The attempt's span. The first attempt since a request goes on with the request's trace; a later one is a trace of
    /// its own, with links to the request and to the attempt before, so that no trace grows for days.
    fn begin_span(&self, job: &ClaimedJob) -> Span {
        let span = info_span!(
            "job.attempt",
            otel.kind = "consumer",
            otel.status_code = Empty,
            messaging.operation.type = "process",
            messaging.operation.name = "attempt",
            job.id = %job.id,
            job.attempt = job.attempt,
            job.rescues = job.rescues,
            worker.id = %self.config.id,
            error.type = Empty,
        );
        let (id, request) = (job.id.to_string(), job.trace_context.as_deref());
        match &job.last_attempt_trace_context {
            None => trace_context::begin_job(&span, &id, request),
            Some(last_attempt) => {
                trace_context::begin_job(&span, &id, None);
                request.into_iter().chain([last_attempt.as_str()]).for_each(|other| trace_context::link(&span, other));
            }
        }
        span
    }

    async fn run_in_span(&self, job: ClaimedJob) {
        info!("Claimed the job");
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
        end.record_in(&Span::current());
        let written = tokio::select! {
            biased;
            written = patiently(|| self.write_end(&job, &end)) => written,
            () = self.no_time_left() => {
                error!("The database is away; another worker goes on with the job after this one's lease");
                return;
            }
        };
        match written {
            Ok(()) => {
                let duration_ms = milliseconds(start.elapsed());
                info!(outcome = end.name(), duration_ms, "The attempt is over");
            }
            Err(StoreError::LeaseLost) => warn!("Another worker has the job; the attempt's end is not written"),
            Err(error) => error!(error = &error as &dyn Error, "Cannot write how the attempt ended"),
        }
    }

    /// A process that is to end does not wait for its database longer than a lease.
    async fn no_time_left(&self) {
        self.shutdown.cancelled().await;
        sleep(self.jobs.policy().lease).await;
    }

    /// Leaves the attempt's trace for the next attempt. One that is not told of it begins a trace without that link.
    async fn note_trace(&self, job: &ClaimedJob) {
        let Some(trace_context) = trace_context::current() else { return };
        if let Err(error) = self.jobs.note_attempt_trace(&job.lease, &trace_context).await {
            debug!(error = &error as &dyn Error, "Cannot note the trace of the attempt");
        }
    }

    async fn work(&self, job: &ClaimedJob) -> End {
        self.note_trace(job).await;
        let refusal = self.config.vitals.refusal.clone();
        let journal = LeaseJournal { jobs: self.jobs.clone(), lease: job.lease, refusal };
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
                let delay_ms = milliseconds(delay);
                warn!(failure.code = %failure.code, is_last, delay_ms, "The model service limits our rate");
                Ok(())
            }
            End::Failed { failure, retry_after } if failure.code.is_retryable() => {
                let delay = retry::delay(&self.config, job.attempt, *retry_after);
                let requeued = self.jobs.requeue(&job.lease, failure, delay).await?;
                let is_last = requeued != Requeued::Retrying;
                let delay_ms = milliseconds(delay);
                warn!(failure.code = %failure.code, is_last, delay_ms, "The attempt failed");
                Ok(())
            }
            End::Failed { failure, .. } => {
                if failure.code == FailureCode::ModelAuth {
                    self.config.vitals.refusal.begins(self.config.refusal_pause);
                }
                warn!(failure.code = %failure.code, "The job failed");
                self.jobs.fail(&job.lease, failure).await
            }
            End::CancelRequested => self.jobs.confirm_cancel(&job.lease).await,
            End::ShuttingDown => self.jobs.release(&job.lease).await,
            End::LeaseLost => Err(StoreError::LeaseLost),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn deadline_exceeded(timeout_seconds: u32) -> End {
    let message = format!("the work on the job took longer than {timeout_seconds} seconds");
    End::Failed { failure: Failure::new(FailureCode::DeadlineExceeded, message), retry_after: None }
}
