//! How long a job may be worked on, and how long it may wait for a service.

use std::time::Duration;

use domain::{JobSpec, JobStatus};
use jobs::{EventKind, Policy, Requeued};

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, failure, result, spec, worker};

on_every_database![
    a_new_job_has_all_its_time,
    time_is_counted_while_a_worker_has_the_job,
    a_retry_of_a_finished_job_has_all_its_time_again,
    a_postponed_job_keeps_its_attempts,
    a_job_is_not_postponed_for_ever,
    a_job_to_be_canceled_is_not_postponed,
];

const TIMEOUT: Duration = Duration::from_mins(1);

fn minute() -> JobSpec {
    JobSpec { timeout_seconds: 60, ..spec() }
}

async fn a_new_job_has_all_its_time(database: &Database) {
    database.jobs.submit(minute()).await.unwrap();
    assert_eq!(database.jobs.claim(&worker()).await.unwrap().unwrap().time_left, TIMEOUT);
}

async fn time_is_counted_while_a_worker_has_the_job(database: &Database) {
    let jobs = &database.jobs;
    jobs.submit(minute()).await.unwrap();
    let lease = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    jobs.heartbeat(&[lease]).await.unwrap();
    jobs.requeue(&lease, &failure(), Duration::ZERO).await.unwrap();
    let second = jobs.claim(&worker()).await.unwrap().unwrap();
    assert!(second.time_left < TIMEOUT && second.time_left > TIMEOUT / 2, "{:?}", second.time_left);
    jobs.release(&second.lease).await.unwrap();
    let third = jobs.claim(&worker()).await.unwrap().unwrap();
    assert!(third.time_left < second.time_left);
}

async fn a_retry_of_a_finished_job_has_all_its_time_again(database: &Database) {
    let jobs = &database.jobs;
    jobs.submit(minute()).await.unwrap();
    let lease = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    jobs.heartbeat(&[lease]).await.unwrap();
    jobs.succeed(&lease, &result()).await.unwrap();
    jobs.retry(lease.job_id(), None).await.unwrap();
    assert_eq!(jobs.claim(&worker()).await.unwrap().unwrap().time_left, TIMEOUT);
}

async fn a_postponed_job_keeps_its_attempts(database: &Database) {
    let jobs = &database.jobs;
    let id = jobs.submit(spec()).await.unwrap().id;
    for _ in 0..5 {
        let claimed = jobs.claim(&worker()).await.unwrap().unwrap();
        assert_eq!(claimed.attempt, 1);
        let postponed = jobs.postpone(&claimed.lease, &failure(), Duration::ZERO).await.unwrap();
        assert_eq!(postponed, Requeued::Retrying);
    }
    let lease = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    jobs.postpone(&lease, &failure(), Duration::from_hours(1)).await.unwrap();
    let job = jobs.get(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.attempt), (JobStatus::Queued, 0));
    assert!(job.next_attempt_at.unwrap() > job.started_at.unwrap() + Duration::from_secs(3_500));
    assert!(jobs.claim(&worker()).await.unwrap().is_none());
    let events = jobs.events(id, 0).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.kind == EventKind::JobRetrying).count(), 6);
}

async fn a_job_is_not_postponed_for_ever(database: &Database) {
    let max_postponement = Duration::from_mins(5);
    let jobs = database.jobs.clone().with_policy(Policy { max_postponement, ..Policy::default() });
    let lease = claimed(&jobs).await.lease;
    let postponed = jobs.postpone(&lease, &failure(), Duration::from_mins(6)).await.unwrap();
    assert_eq!(postponed, Requeued::Failed);
    let job = jobs.get(lease.job_id()).await.unwrap().unwrap();
    assert_eq!((job.status, job.failure), (JobStatus::Failed, Some(failure())));
}

async fn a_job_to_be_canceled_is_not_postponed(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    jobs.cancel(lease.job_id()).await.unwrap();
    let postponed = jobs.postpone(&lease, &failure(), Duration::ZERO).await.unwrap();
    assert_eq!(postponed, Requeued::Canceled);
}
