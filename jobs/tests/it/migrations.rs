//! Any number of processes may bring a database up to date at once.

use futures::future::join_all;
use jobs::Jobs;
use tokio::task::JoinHandle;

use crate::database::{on_empty_postgres, on_empty_sqlite};
use crate::sample::spec;

/// Processes that start at the same moment.
const STARTS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_at_once_are_safe_on_sqlite() {
    on_empty_sqlite(starts_at_once_are_safe).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starts_at_once_are_safe_on_postgres() {
    on_empty_postgres(starts_at_once_are_safe).await;
}

async fn starts_at_once_are_safe(url: String) {
    let start = |url: String| -> JoinHandle<Jobs> {
        tokio::spawn(async move {
            let jobs = Jobs::open(&url).await.unwrap();
            jobs.migrate().await.unwrap();
            jobs
        })
    };
    let starts = join_all((0..STARTS).map(|_| start(url.clone()))).await;
    for jobs in starts {
        let jobs = jobs.unwrap();
        assert!(jobs.is_migrated().await.unwrap());
        jobs.submit(spec()).await.unwrap();
    }
}

#[tokio::test]
async fn says_whether_sqlite_is_migrated() {
    on_empty_sqlite(says_whether_it_is_migrated).await;
}

#[tokio::test]
async fn says_whether_postgres_is_migrated() {
    on_empty_postgres(says_whether_it_is_migrated).await;
}

async fn says_whether_it_is_migrated(url: String) {
    let jobs = Jobs::open(&url).await.unwrap();
    assert!(!jobs.is_migrated().await.unwrap());
    jobs.migrate().await.unwrap();
    assert!(jobs.is_migrated().await.unwrap());
}
