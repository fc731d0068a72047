//! How the end of an attempt becomes the state of the job.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::{FailureCode, JobSpec, JobStatus};
use jobs::EventKind;
use worker::{WorkError, WorkerConfig};

use crate::fixture::{Database, endless_work, failed, quick, result, spec, work};

#[tokio::test]
async fn a_job_runs_to_its_result() {
    let database = Database::new().await;
    let worker = database.start_worker(work(async |_, _| Ok(result())), quick());
    let id = database.submit().await;
    let job = database.until(id, JobStatus::Succeeded).await;
    assert_eq!(job.attempt, 1);
    assert_eq!(database.jobs.diff(id).await.unwrap(), Some(result().diff));
    worker.stop().await;
}

#[tokio::test]
async fn an_attempt_that_may_work_next_time_is_made_three_times() {
    let database = Database::new().await;
    let worker = database.start_worker(work(async |_, _| Err(failed(FailureCode::RepoUnreachable))), quick());
    let id = database.submit().await;
    let job = database.until(id, JobStatus::Failed).await;
    assert_eq!((job.attempt, job.failure.unwrap().code), (3, FailureCode::RepoUnreachable));
    let events = database.jobs.events(id, 0).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.kind == EventKind::JobRetrying).count(), 2);
    worker.stop().await;
}

#[tokio::test]
async fn a_failure_that_would_come_again_is_final() {
    let database = Database::new().await;
    let worker = database.start_worker(work(async |_, _| Err(failed(FailureCode::RepoNotFound))), quick());
    let id = database.submit().await;
    let job = database.until(id, JobStatus::Failed).await;
    assert_eq!((job.attempt, job.failure.unwrap().code), (1, FailureCode::RepoNotFound));
    worker.stop().await;
}

#[tokio::test]
async fn waits_as_long_as_the_service_asked() {
    let database = Database::new().await;
    let asked = Duration::from_mins(10);
    let worker = database.start_worker(
        work(move |_, _| async move {
            let WorkError::Failed { failure, .. } = failed(FailureCode::ModelOverloaded) else { unreachable!() };
            Err(WorkError::Failed { failure, retry_after: Some(asked) })
        }),
        quick(),
    );
    let id = database.submit().await;
    let job = database.until_job(id, |job| job.status == JobStatus::Queued && job.attempt == 1).await;
    assert!(job.next_attempt_at.unwrap() >= job.started_at.unwrap() + asked);
    worker.stop().await;
}

#[tokio::test]
async fn a_panic_fails_the_attempt_and_not_the_worker() {
    let database = Database::new().await;
    let panics = Arc::new(AtomicU32::new(0));
    let counted = panics.clone();
    let worker = database.start_worker(
        work(move |_, _| {
            let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
            async move {
                assert!(number > 4, "panic number {number}");
                Ok(result())
            }
        }),
        WorkerConfig { concurrency: 1, ..quick() },
    );
    let first = database.submit().await;
    let job = database.until(first, JobStatus::Failed).await;
    assert_eq!((job.attempt, job.failure.unwrap().code), (3, FailureCode::Internal));
    let second = database.submit().await;
    assert_eq!(database.until(second, JobStatus::Succeeded).await.attempt, 2);
    assert_eq!(panics.load(Ordering::SeqCst), 5);
    worker.stop().await;
}

#[tokio::test]
async fn a_job_beyond_its_deadline_fails() {
    let database = Database::new().await;
    let (work, endless) = endless_work();
    let worker = database.start_worker(work, quick());
    let spec = JobSpec { timeout_seconds: 1, ..spec() };
    let id = database.jobs.submit(spec).await.unwrap().id;
    let job = database.until(id, JobStatus::Failed).await;
    assert_eq!(job.failure.unwrap().code, FailureCode::DeadlineExceeded);
    assert!(endless.is_dropped());
    worker.stop().await;
}

#[tokio::test]
async fn a_rate_limit_uses_up_no_attempt() {
    let database = Database::new().await;
    let limits = Arc::new(AtomicU32::new(0));
    let counted = limits.clone();
    let worker = database.start_worker(
        work(move |_, _| {
            let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
            async move { if number > 5 { Ok(result()) } else { Err(failed(FailureCode::ModelRateLimited)) } }
        }),
        quick(),
    );
    let id = database.submit().await;
    let job = database.until(id, JobStatus::Succeeded).await;
    assert_eq!((job.attempt, limits.load(Ordering::SeqCst)), (1, 6));
    worker.stop().await;
}

#[tokio::test]
async fn a_rate_limit_waits_as_long_as_the_service_asked() {
    let database = Database::new().await;
    let asked = Duration::from_mins(10);
    let worker = database.start_worker(
        work(move |_, _| async move {
            let WorkError::Failed { failure, .. } = failed(FailureCode::ModelRateLimited) else { unreachable!() };
            Err(WorkError::Failed { failure, retry_after: Some(asked) })
        }),
        quick(),
    );
    let id = database.submit().await;
    let job = database.until_job(id, |job| job.next_attempt_at.is_some()).await;
    assert_eq!((job.status, job.attempt), (JobStatus::Queued, 0));
    assert!(job.next_attempt_at.unwrap() >= job.started_at.unwrap() + asked);
    worker.stop().await;
}
