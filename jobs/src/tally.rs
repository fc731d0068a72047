//! What is counted of jobs, after it has happened: after the commit.

use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{counter, histogram};

/// How a job ended, for who counts.
pub(crate) struct Ending {
    /// The name of its status.
    pub(crate) outcome: &'static str,
    /// What it came to, or why it failed; empty when somebody asked for its end.
    pub(crate) code: &'static str,
    /// When it was submitted or last retried.
    pub(crate) queued_at: DateTime<Utc>,
    pub(crate) ended_at: DateTime<Utc>,
}

pub(crate) fn job_created() {
    counter!("tinygen_jobs_created_total").increment(1);
}

/// The first start of a job since it was submitted or last retried.
pub(crate) fn job_started(queued_at: DateTime<Utc>, started_at: DateTime<Utc>) {
    histogram!("tinygen_queue_wait_seconds").record(between(queued_at, started_at));
}

pub(crate) fn job_rescued() {
    counter!("tinygen_job_rescues_total").increment(1);
}

pub(crate) fn job_finished(ending: &Ending) {
    let Ending { outcome, code, queued_at, ended_at } = *ending;
    counter!("tinygen_jobs_finished_total", "outcome" => outcome, "code" => code).increment(1);
    histogram!("tinygen_job_duration_seconds", "outcome" => outcome).record(between(queued_at, ended_at));
}

/// A write of a worker that no longer had the job.
pub(crate) fn write_fenced() {
    counter!("tinygen_fenced_writes_total").increment(1);
}

fn between(begin: DateTime<Utc>, end: DateTime<Utc>) -> Duration {
    (end - begin).to_std().unwrap_or(Duration::ZERO)
}
