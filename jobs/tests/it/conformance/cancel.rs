//! Somebody asks for the end of a job.

use std::time::Duration;

use domain::{JobId, JobStatus};
use jobs::{Cancellation, Heartbeat, Requeued};

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, failure, result, spec, worker};

on_every_database![
    a_waiting_job_is_canceled_at_once,
    the_worker_of_a_running_job_learns_of_it,
    a_job_that_is_over_stays_as_it_is,
    a_job_to_be_canceled_never_waits_again,
    a_result_that_was_faster_counts,
];

async fn a_waiting_job_is_canceled_at_once(database: &Database) {
    let jobs = &database.jobs;
    let job = jobs.submit(spec()).await.unwrap();
    assert_eq!(jobs.cancel(job.id).await.unwrap(), Cancellation::Canceled);
    let canceled = jobs.get(job.id).await.unwrap().unwrap();
    assert_eq!(canceled.status, JobStatus::Canceled);
    assert!(canceled.finished_at.is_some() && canceled.cancel_requested_at.is_some());
    assert!(jobs.claim(&worker()).await.unwrap().is_none());
}

async fn the_worker_of_a_running_job_learns_of_it(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    assert_eq!(jobs.check(&[lease]).await.unwrap(), [Heartbeat::Held]);
    assert_eq!(jobs.cancel(lease.job_id()).await.unwrap(), Cancellation::Requested);
    assert_eq!(jobs.cancel(lease.job_id()).await.unwrap(), Cancellation::Requested);
    assert_eq!(jobs.get(lease.job_id()).await.unwrap().unwrap().version, 3, "asking twice is asking once");
    assert_eq!(jobs.check(&[lease]).await.unwrap(), [Heartbeat::CancelRequested]);
    assert_eq!(jobs.heartbeat(&[lease]).await.unwrap(), [Heartbeat::CancelRequested]);
    jobs.confirm_cancel(&lease).await.unwrap();
    assert_eq!(jobs.get(lease.job_id()).await.unwrap().unwrap().status, JobStatus::Canceled);
}

async fn a_job_that_is_over_stays_as_it_is(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    jobs.succeed(&lease, &result()).await.unwrap();
    let over = Cancellation::AlreadyOver(JobStatus::Succeeded);
    assert_eq!(jobs.cancel(lease.job_id()).await.unwrap(), over);
    assert_eq!(jobs.get(lease.job_id()).await.unwrap().unwrap().cancel_requested_at, None);
    assert_eq!(jobs.cancel(JobId::new()).await.unwrap(), Cancellation::NotFound);
}

async fn a_job_to_be_canceled_never_waits_again(database: &Database) {
    let jobs = &database.jobs;
    let requeued = claimed(jobs).await.lease;
    jobs.cancel(requeued.job_id()).await.unwrap();
    let outcome = jobs.requeue(&requeued, &failure(), Duration::ZERO).await.unwrap();
    assert_eq!(outcome, Requeued::Canceled);
    let released = claimed(jobs).await.lease;
    jobs.cancel(released.job_id()).await.unwrap();
    jobs.release(&released).await.unwrap();
    for lease in [requeued, released] {
        assert_eq!(jobs.get(lease.job_id()).await.unwrap().unwrap().status, JobStatus::Canceled);
    }
}

async fn a_result_that_was_faster_counts(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    jobs.cancel(lease.job_id()).await.unwrap();
    jobs.succeed(&lease, &result()).await.unwrap();
    assert_eq!(jobs.get(lease.job_id()).await.unwrap().unwrap().status, JobStatus::Succeeded);
}
