//! Any number of processes may bring a database up to date at once, and what is in it stays usable.

use std::path::Path;

use chrono::Utc;
use domain::{JobId, RepoUrl};
use futures::future::join_all;
use jobs::{JobQuery, Jobs, Purge};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::database::{on_empty_postgres, on_empty_sqlite};
use crate::sample::{spec, worker};

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

/// What a database of an older release holds: a job that waits and one that has succeeded.
const OLDER_ROWS: [&str; 2] = [
    r#"INSERT INTO jobs (id, spec, status, attempt, max_attempts, rescues, lease_epoch, version, input_tokens,
                         cache_creation_tokens, cache_read_tokens, output_tokens, cost_nanos, created_at)
       VALUES ($1, '{"repoUrl":"https://example.com/a/b.git","prompt":"say \"hi\""}', 'queued', 0, 3, 0, 0, 1, 0, 0, 0,
               0, 0, $2)"#,
    r#"INSERT INTO jobs (id, spec, status, attempt, max_attempts, rescues, lease_epoch, version, input_tokens,
                         cache_creation_tokens, cache_read_tokens, output_tokens, cost_nanos, created_at, finished_at,
                         failure)
       VALUES ($1, '{"repoUrl":"https://example.com/c/d","prompt":"x"}', 'failed', 1, 3, 0, 1, 5, 1, 2, 3, 4, 5, $2,
               $2, '{"code":"repo_not_found","message":"404"}')"#,
];

#[tokio::test]
async fn rows_of_an_older_release_are_found_again_on_sqlite() {
    on_empty_sqlite(async |url| {
        let file = url.strip_prefix("sqlite:").unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        older_migrations().await.run(&pool).await.unwrap();
        let ids = [Uuid::now_v7(), Uuid::now_v7()];
        for (sql, id) in OLDER_ROWS.into_iter().zip(ids) {
            sqlx::query(sql).bind(id).bind(Utc::now()).execute(&pool).await.unwrap();
        }
        are_found_again(&url, ids).await;
    })
    .await;
}

#[tokio::test]
async fn rows_of_an_older_release_are_found_again_on_postgres() {
    on_empty_postgres(async |url| {
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        older_migrations().await.run(&pool).await.unwrap();
        let ids = [Uuid::now_v7(), Uuid::now_v7()];
        for (sql, id) in OLDER_ROWS.into_iter().zip(ids) {
            sqlx::query(sql).bind(id).bind(Utc::now()).execute(&pool).await.unwrap();
        }
        are_found_again(&url, ids).await;
    })
    .await;
}

/// The migrations up to the second.
async fn older_migrations() -> sqlx::migrate::Migrator {
    let folder = tempfile::tempdir().unwrap();
    for name in ["0001_jobs.sql", "0002_turns.sql"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(name);
        std::fs::copy(from, folder.path().join(name)).unwrap();
    }
    sqlx::migrate::Migrator::new(folder.path()).await.unwrap()
}

async fn are_found_again(url: &str, ids: [Uuid; 2]) {
    let jobs = Jobs::open(url).await.unwrap();
    jobs.migrate().await.unwrap();
    for (id, repo_url) in ids.into_iter().zip(["https://example.com/a/b.git", "https://example.com/c/d"]) {
        let query = JobQuery { repo_url: Some(RepoUrl::parse(repo_url).unwrap()), limit: 10, ..JobQuery::default() };
        let found = jobs.list(&query).await.unwrap().jobs;
        assert_eq!(found.iter().map(|job| job.id).collect::<Vec<_>>(), [JobId::from(id)], "{repo_url}");
        assert_eq!(jobs.get(JobId::from(id)).await.unwrap().as_ref(), found.first());
    }
    let claimed = jobs.claim(&worker()).await.unwrap().unwrap();
    assert_eq!((claimed.id, claimed.spec.prompt.as_str()), (JobId::from(ids[0]), "say \"hi\""));
    for id in ids {
        assert_eq!(jobs.purge(None, JobId::from(id)).await.unwrap(), Purge::Purged);
    }
}
