//! An attempt ends once.

use std::time::Duration;

use domain::{JobId, JobResult, JobStatus};
use jobs::Requeued;

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, failure, result, spec, worker};

on_every_database![
    a_result_comes_back_with_its_diff_beside_it,
    a_failure_comes_back,
    the_last_attempt_fails_the_job,
    a_job_handed_back_keeps_its_attempts,
    an_unknown_job_is_none,
];

async fn a_result_comes_back_with_its_diff_beside_it(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    assert_eq!(jobs.diff(lease.job_id()).await.unwrap(), None);
    jobs.succeed(&lease, &result()).await.unwrap();
    let job = jobs.get(lease.job_id()).await.unwrap().unwrap();
    assert_eq!(job.status, JobStatus::Succeeded);
    assert_eq!(job.result, Some(JobResult { diff: Vec::new(), ..result() }));
    assert_eq!(jobs.diff(lease.job_id()).await.unwrap(), Some(result().diff));
    assert!(job.finished_at.unwrap() >= job.started_at.unwrap());
}

async fn a_failure_comes_back(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    jobs.fail(&lease, &failure()).await.unwrap();
    let job = jobs.get(lease.job_id()).await.unwrap().unwrap();
    assert_eq!((job.status, job.failure), (JobStatus::Failed, Some(failure())));
}

async fn the_last_attempt_fails_the_job(database: &Database) {
    let jobs = &database.jobs;
    let id = jobs.submit(spec()).await.unwrap().id;
    for expected in [Requeued::Retrying, Requeued::Retrying, Requeued::Failed] {
        let lease = jobs.claim(&worker()).await.unwrap().unwrap().lease;
        assert_eq!(jobs.requeue(&lease, &failure(), Duration::ZERO).await.unwrap(), expected);
    }
    let job = jobs.get(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.attempt, job.failure), (JobStatus::Failed, 3, Some(failure())));
}

async fn a_job_handed_back_keeps_its_attempts(database: &Database) {
    let jobs = &database.jobs;
    let first = claimed(jobs).await;
    jobs.release(&first.lease).await.unwrap();
    let job = jobs.get(first.id).await.unwrap().unwrap();
    assert_eq!((job.status, job.attempt, job.next_attempt_at), (JobStatus::Queued, 0, None));
    let second = jobs.claim(&worker()).await.unwrap().expect("it is due at once");
    assert_eq!((second.id, second.attempt, second.lease.epoch()), (first.id, 1, 2));
}

async fn an_unknown_job_is_none(database: &Database) {
    let (jobs, id) = (&database.jobs, JobId::new());
    assert_eq!(jobs.get(id).await.unwrap(), None);
    assert_eq!(jobs.diff(id).await.unwrap(), None);
    assert_eq!(jobs.events(id, 0).await.unwrap(), []);
    assert_eq!(jobs.stages(id).await.unwrap(), []);
}
