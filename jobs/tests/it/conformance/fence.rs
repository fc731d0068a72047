//! A worker that lost its job cannot write.

use std::time::Duration;

use domain::{JobStatus, StageKey, StageKind};
use jobs::{Heartbeat, StoreError};
use serde_json::json;

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, failure, reservation, result, settlement, stage, worker};

on_every_database![a_stale_lease_changes_nothing, the_lease_of_a_finished_job_changes_nothing];

async fn a_stale_lease_changes_nothing(database: &Database) {
    let jobs = database.where_leases_expire_at_once();
    let stale = claimed(&jobs).await.lease;
    let call = reservation(StageKind::Plan, 0, 500);
    jobs.reserve_call(&stale, &call).await.unwrap();
    let newest = jobs.claim(&worker()).await.unwrap().expect("the lease has run out").lease;
    let before = state(&jobs, newest.job_id()).await;

    every_write_is_refused(&jobs, &stale, &call).await;

    assert_eq!(state(&jobs, newest.job_id()).await, before);
    assert_eq!(jobs.check(&[newest]).await.unwrap(), [Heartbeat::Held]);
    assert_eq!(jobs.heartbeat(&[newest]).await.unwrap(), [Heartbeat::Held]);
    jobs.succeed(&newest, &result()).await.unwrap();
}

async fn the_lease_of_a_finished_job_changes_nothing(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let call = reservation(StageKind::Plan, 0, 500);
    jobs.reserve_call(&lease, &call).await.unwrap();
    jobs.succeed(&lease, &result()).await.unwrap();
    let before = state(jobs, lease.job_id()).await;

    every_write_is_refused(jobs, &lease, &call).await;

    assert_eq!(state(jobs, lease.job_id()).await, before);
    assert_eq!(before.0.status, JobStatus::Succeeded);
}

async fn every_write_is_refused(jobs: &jobs::Jobs, lease: &jobs::Lease, open_call: &domain::CallReservation) {
    let lost = |outcome: Result<(), StoreError>| assert!(matches!(outcome, Err(StoreError::LeaseLost)), "{outcome:?}");
    assert_eq!(jobs.heartbeat(&[*lease]).await.unwrap(), [Heartbeat::Lost]);
    assert_eq!(jobs.check(&[*lease]).await.unwrap(), [Heartbeat::Lost]);
    lost(jobs.note_attempt_trace(lease, "stale").await);
    lost(jobs.start_stage(lease, &StageKey::from(StageKind::Plan)).await);
    lost(jobs.save_stage(lease, &stage(StageKind::Plan, json!("stale"))).await);
    lost(jobs.reserve_call(lease, &reservation(StageKind::Plan, 1, 7)).await);
    lost(jobs.settle_call(lease, &settlement(open_call, 3)).await);
    lost(jobs.forget_answers(lease, &StageKey::from(StageKind::Plan)).await);
    lost(jobs.succeed(lease, &result()).await);
    lost(jobs.fail(lease, &failure()).await);
    lost(jobs.confirm_cancel(lease).await);
    lost(jobs.release(lease).await);
    lost(jobs.requeue(lease, &failure(), Duration::ZERO).await.map(drop));
    lost(jobs.postpone(lease, &failure(), Duration::ZERO).await.map(drop));
}

/// Everything there is to see of a job.
async fn state(
    jobs: &jobs::Jobs,
    id: domain::JobId,
) -> (jobs::Job, Vec<jobs::StageSummary>, Vec<jobs::JobEvent>, domain::Cost, Option<Vec<u8>>) {
    (
        jobs.get(id).await.unwrap().unwrap(),
        jobs.stages(id).await.unwrap(),
        jobs.events(id, 0).await.unwrap(),
        jobs.spent(id).await.unwrap(),
        jobs.diff(id).await.unwrap(),
    )
}
