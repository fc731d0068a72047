//! Whoever counts workers sees one from its start to its end.

use std::time::Duration;

use domain::JobStatus;
use tokio::time::{sleep, timeout};
use worker::WorkerConfig;

use crate::fixture::{Database, endless_work, quick};

/// Longest wait for what comes at once: only a broken test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

async fn workers(database: &Database) -> (u64, u64) {
    let stats = database.jobs.queue_stats().await.unwrap();
    (stats.workers, stats.slots)
}

async fn until_workers(database: &Database, expected: (u64, u64)) {
    let arrival = async {
        while workers(database).await != expected {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, arrival).await.expect("the workers are seen");
}

#[tokio::test]
async fn a_worker_is_counted_from_its_start_to_its_end() {
    let database = Database::new().await;
    assert_eq!(workers(&database).await, (0, 0));
    let (work, _endless) = endless_work();
    let idle = database.start_worker(work.clone(), WorkerConfig { concurrency: 3, ..quick() });
    until_workers(&database, (1, 3)).await;
    let busy = database.start_worker(work, WorkerConfig { concurrency: 1, ..quick() });
    let id = database.submit().await;
    database.until(id, JobStatus::Running).await;
    until_workers(&database, (2, 4)).await;
    idle.stop().await;
    assert_eq!(workers(&database).await, (1, 1), "who ends says so");
    busy.stop().await;
    let stats = database.jobs.queue_stats().await.unwrap();
    assert_eq!((stats.workers, stats.slots, stats.desired_workers()), (0, 0, 1), "its job was handed back");
}
