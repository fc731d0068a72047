//! A worker that is told to stop hands its jobs back.

use std::time::{Duration, Instant};

use domain::{JobStatus, StageKind, StageRecord};
use serde_json::json;
use worker::WorkerConfig;

use crate::fixture::{Database, endless_work, quick, result, work};

#[tokio::test]
async fn hands_running_jobs_back_within_a_second() {
    let database = Database::new().await;
    let (work, endless) = endless_work();
    let worker = database.start_worker(work, WorkerConfig { concurrency: 2, ..quick() });
    let ids = [database.submit().await, database.submit().await, database.submit().await];
    database.until(ids[0], JobStatus::Running).await;
    database.until(ids[1], JobStatus::Running).await;
    let asked = Instant::now();
    worker.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    assert!(endless.is_dropped());
    for id in ids {
        let job = database.job(id).await;
        assert_eq!((job.status, job.attempt), (JobStatus::Queued, 0), "no attempt is used up");
    }
}

#[tokio::test]
async fn an_idle_worker_stops_at_once() {
    let database = Database::new().await;
    let config = WorkerConfig { idle: Duration::from_hours(1), ..quick() };
    let worker = database.start_worker(work(async |_, _| Ok(result())), config);
    let id = database.submit().await;
    database.until(id, JobStatus::Succeeded).await;
    let asked = Instant::now();
    worker.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn another_worker_goes_on_from_the_stored_stages() {
    let database = Database::new().await;
    let first = database.start_worker(
        work(async |journal, _| {
            let key = StageKind::Plan.into();
            let record = StageRecord { key, output: json!("the plan") };
            journal.save_stage(&record).await.unwrap();
            std::future::pending().await
        }),
        quick(),
    );
    let id = database.submit().await;
    let saved = async {
        while database.jobs.stage_output(id, &StageKind::Plan.into()).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), saved).await.expect("the plan is stored");
    first.stop().await;

    let second = database.start_worker(
        work(async |journal, _| {
            let plan = journal.load_stage(&StageKind::Plan.into()).await.unwrap().expect("it was stored before");
            assert_eq!(plan.output, json!("the plan"));
            Ok(result())
        }),
        quick(),
    );
    let job = database.until(id, JobStatus::Succeeded).await;
    assert_eq!((job.attempt, job.rescues), (1, 0));
    second.stop().await;
}
