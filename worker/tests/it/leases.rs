//! A worker that lost its job stops working on it.

use std::time::Duration;

use domain::JobStatus;
use jobs::{Policy, WorkerId};
use worker::WorkerConfig;

use crate::fixture::{Database, RunningWorker, endless_work, quick, result};

#[tokio::test]
async fn drops_the_work_when_another_worker_has_the_job() {
    let database = Database::new().await;
    let (work, endless) = endless_work();
    let expires_at_once = database.jobs.clone().with_policy(Policy {
        lease: Duration::ZERO,
        contact: Duration::ZERO,
        ..Policy::default()
    });
    let config = WorkerConfig { concurrency: 1, check: Duration::from_millis(20), ..quick() };
    let worker = RunningWorker::start(expires_at_once, work, config);
    let id = database.submit().await;
    database.until(id, JobStatus::Running).await;

    let stolen = database.jobs.claim(&WorkerId::new("thief")).await.unwrap().expect("the lease has run out");
    endless.until_dropped().await;

    database.jobs.succeed(&stolen.lease, &result()).await.unwrap();
    worker.stop().await;
    let job = database.job(id).await;
    assert_eq!((job.status, job.rescues), (JobStatus::Succeeded, 1));
}

#[tokio::test]
async fn finishes_the_job_of_a_lost_worker() {
    let database = Database::new().await;
    let id = database.submit().await;
    let expires_at_once = database.jobs.clone().with_policy(Policy {
        lease: Duration::ZERO,
        contact: Duration::ZERO,
        ..Policy::default()
    });
    expires_at_once.claim(&WorkerId::new("lost")).await.unwrap().unwrap();
    let worker = database.start_worker(crate::fixture::work(async |_, _| Ok(result())), quick());
    let job = database.until(id, JobStatus::Succeeded).await;
    assert_eq!((job.attempt, job.rescues), (1, 1));
    worker.stop().await;
}
