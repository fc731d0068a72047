//! What was accepted survives the process.

use domain::{Cost, StageKind};
use jobs::{Heartbeat, Jobs, StoreError};
use serde_json::json;

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, reservation, result, spec, stage};

on_every_database![another_process_finds_everything, migrating_again_changes_nothing];

async fn another_process_finds_everything(database: &Database) {
    let lease = claimed(&database.jobs).await.lease;
    let plan = stage(StageKind::Plan, json!({ "files": ["a"] }));
    database.jobs.save_stage(&lease, &plan).await.unwrap();
    database.jobs.reserve_call(&lease, &reservation(StageKind::Edit, 0, 77)).await.unwrap();
    let waiting = database.jobs.submit(spec()).await.unwrap();
    let before = database.jobs.get(lease.job_id()).await.unwrap();

    // The first store is still open: nothing was closed or flushed, as when a process is killed.
    let other = database.reopen().await;

    assert_eq!(other.get(waiting.id).await.unwrap(), Some(waiting));
    assert_eq!(other.get(lease.job_id()).await.unwrap(), before);
    assert_eq!(other.load_stage(lease.job_id(), &plan.key).await.unwrap(), Some(plan));
    assert_eq!(other.spent(lease.job_id()).await.unwrap(), Cost::from_nanos(77));
    assert_eq!(other.heartbeat(&[lease]).await.unwrap(), [Heartbeat::Held]);
}

async fn migrating_again_changes_nothing(database: &Database) {
    let job = database.jobs.submit(spec()).await.unwrap();
    let other = database.reopen().await;
    other.migrate().await.unwrap();
    assert_eq!(other.get(job.id).await.unwrap(), Some(job));
}

/// What a killed process leaves behind is its files as they are, the log not yet moved into the database.
#[tokio::test]
async fn a_killed_process_leaves_everything_in_its_files() {
    let (folder, after_kill) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let jobs = Jobs::open(&format!("sqlite:{}", folder.path().join("jobs.db").display())).await.unwrap();
    jobs.migrate().await.unwrap();
    let lease = claimed(&jobs).await.lease;
    jobs.succeed(&lease, &result()).await.unwrap();
    let waiting = jobs.submit(spec()).await.unwrap();
    for file in ["jobs.db", "jobs.db-wal"] {
        std::fs::copy(folder.path().join(file), after_kill.path().join(file)).unwrap();
    }

    let other = Jobs::open(&format!("sqlite:{}", after_kill.path().join("jobs.db").display())).await.unwrap();

    assert_eq!(other.get(waiting.id).await.unwrap(), Some(waiting));
    assert_eq!(other.get(lease.job_id()).await.unwrap(), jobs.get(lease.job_id()).await.unwrap());
    assert_eq!(other.diff(lease.job_id()).await.unwrap(), Some(result().diff));
}

#[tokio::test]
async fn says_which_addresses_it_takes() {
    for url in ["mysql://root:secret@db/x", "jobs.db", "postgres://user:secret@host:port/x", ""] {
        let error = Jobs::open(url).await.unwrap_err();
        assert!(matches!(error, StoreError::Address { .. }), "{error:?}");
        assert!(!error.to_string().contains("secret"));
    }
}
