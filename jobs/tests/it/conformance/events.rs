//! A job's events are its history, in order and without a gap.

use std::time::Duration;

use domain::{StageKey, StageKind};
use jobs::EventKind;
use serde_json::json;

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, failure, reservation, result, settlement, stage, worker};

on_every_database![a_whole_life_is_told_in_order, concurrent_changes_leave_no_gap, reads_on_after_an_event];

async fn a_whole_life_is_told_in_order(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    jobs.requeue(&lease, &failure(), Duration::ZERO).await.unwrap();
    let lease = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    jobs.start_stage(&lease, &StageKey::from(StageKind::Plan)).await.unwrap();
    let call = reservation(StageKind::Plan, 0, 9);
    jobs.reserve_call(&lease, &call).await.unwrap();
    jobs.settle_call(&lease, &settlement(&call, 4)).await.unwrap();
    jobs.save_stage(&lease, &stage(StageKind::Plan, json!("plan"))).await.unwrap();
    jobs.cancel(lease.job_id()).await.unwrap();
    jobs.succeed(&lease, &result()).await.unwrap();

    let events = jobs.events(lease.job_id(), 0).await.unwrap();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    let expected = [
        "job.queued",
        "job.started",
        "job.retrying",
        "job.started",
        "stage.started",
        "call.settled",
        "stage.succeeded",
        "job.cancelRequested",
        "job.succeeded",
    ];
    assert_eq!(kinds, expected);
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
    assert!(events.is_sorted_by_key(|event| event.at));
    assert_eq!(events[2].data["failure"]["code"], "repo_unreachable");
    assert_eq!(jobs.get(lease.job_id()).await.unwrap().unwrap().version, 9);
    assert!(EventKind::JobSucceeded.is_terminal() && !EventKind::JobRetrying.is_terminal());
}

async fn concurrent_changes_leave_no_gap(database: &Database) {
    let lease = claimed(&database.jobs).await.lease;
    let changes = (0..40).map(|number| {
        let jobs = database.jobs.clone();
        tokio::spawn(async move {
            let key = StageKey { kind: StageKind::Edit, item: format!("file-{}", number % 30) };
            jobs.start_stage(&lease, &key).await.unwrap();
            let record = domain::StageRecord { key, ..stage(StageKind::Edit, json!(number)) };
            jobs.save_stage(&lease, &record).await.unwrap();
        })
    });
    for change in futures::future::join_all(changes).await {
        change.unwrap();
    }
    let events = database.jobs.events(lease.job_id(), 0).await.unwrap();
    assert!(events.iter().map(|event| event.seq).eq(1..=events.len() as u64));
    let saved = events.iter().filter(|event| event.kind == EventKind::StageSucceeded).count();
    assert_eq!(saved, 30, "one per stage");
}

async fn reads_on_after_an_event(database: &Database) {
    let lease = claimed(&database.jobs).await.lease;
    for number in 0..600 {
        let key = StageKey { kind: StageKind::Edit, item: number.to_string() };
        let record = domain::StageRecord { key, ..stage(StageKind::Edit, json!(number)) };
        database.jobs.save_stage(&lease, &record).await.unwrap();
    }
    let first_page = database.jobs.events(lease.job_id(), 0).await.unwrap();
    assert_eq!(first_page.len(), 500);
    let rest = database.jobs.events(lease.job_id(), first_page[499].seq).await.unwrap();
    assert_eq!((rest.len(), rest[0].seq), (102, 501));
}
