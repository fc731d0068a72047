//! A running job ends soon after somebody asked for it.

use std::time::{Duration, Instant};

use domain::JobStatus;
use jobs::Cancellation;

use crate::fixture::{Database, endless_work, quick};

#[tokio::test]
async fn stops_a_running_job_within_two_seconds() {
    let database = Database::new().await;
    let (work, endless) = endless_work();
    let worker = database.start_worker(work, quick());
    let id = database.submit().await;
    database.until(id, JobStatus::Running).await;
    let asked = Instant::now();
    assert_eq!(database.jobs.cancel(id).await.unwrap(), Cancellation::Requested);
    database.until(id, JobStatus::Canceled).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(endless.is_dropped());
    worker.stop().await;
}
