//! Forgetting by age.

use std::time::Duration;

use jobs::{Jobs, Policy, StoreError};

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, result, spec, worker};

on_every_database![
    what_ended_long_ago_is_forgotten,
    nothing_is_forgotten_without_a_limit,
    a_sweep_takes_a_batch_and_the_next_one_goes_on,
    tombstones_go_in_the_end,
];

fn with(jobs: &Jobs, retention: Option<Duration>, tombstone: Duration) -> Jobs {
    jobs.clone().with_policy(Policy { retention, tombstone, ..Policy::default() })
}

async fn what_ended_long_ago_is_forgotten(database: &Database) {
    let a_day = Duration::from_hours(24);
    let jobs = with(&database.jobs, Some(a_day), a_day);
    let ended = claimed(&jobs).await.lease;
    jobs.succeed(&ended, &result()).await.unwrap();
    let running = claimed(&jobs).await.lease;
    let waiting = jobs.submit(spec()).await.unwrap();
    assert_eq!(waiting.expires_at, None);

    assert_eq!(jobs.sweep().await.unwrap().purged, 0);
    let job = jobs.get(ended.job_id()).await.unwrap().unwrap();
    assert_eq!(job.expires_at, Some(job.finished_at.unwrap() + a_day));

    let later = with(&database.jobs, Some(Duration::ZERO), a_day);
    assert_eq!(later.sweep().await.unwrap().purged, 1);
    assert!(matches!(jobs.get(ended.job_id()).await, Err(StoreError::Purged)));
    for id in [running.job_id(), waiting.id] {
        assert!(jobs.get(id).await.unwrap().is_some(), "an open job is never too old");
    }
    assert_eq!(later.sweep().await.unwrap().purged, 0);
}

async fn nothing_is_forgotten_without_a_limit(database: &Database) {
    let jobs = with(&database.jobs, None, Duration::ZERO);
    let lease = claimed(&jobs).await.lease;
    jobs.succeed(&lease, &result()).await.unwrap();
    assert_eq!(jobs.sweep().await.unwrap().purged, 0);
    assert_eq!(jobs.get(lease.job_id()).await.unwrap().unwrap().expires_at, None);
}

async fn a_sweep_takes_a_batch_and_the_next_one_goes_on(database: &Database) {
    for _ in 0..130 {
        let id = database.jobs.submit(spec()).await.unwrap().id;
        database.jobs.cancel(id).await.unwrap();
    }
    let later = with(&database.jobs, Some(Duration::ZERO), Duration::from_hours(1));
    assert_eq!(later.sweep().await.unwrap().purged, 100);
    assert_eq!(later.sweep().await.unwrap().purged, 30);
}

async fn tombstones_go_in_the_end(database: &Database) {
    let id = claimed(&database.jobs).await.id;
    database.jobs.purge(None, id).await.unwrap();
    database.jobs.sweep().await.unwrap();
    assert!(matches!(database.jobs.get(id).await, Err(StoreError::Purged)));
    with(&database.jobs, None, Duration::ZERO).sweep().await.unwrap();
    assert!(database.jobs.get(id).await.unwrap().is_none());
    assert!(database.jobs.claim(&worker()).await.unwrap().is_none());
}
