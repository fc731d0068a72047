//! What a stage made is stored once and comes back as it was.

use domain::{Cost, StageKey, StageKind};
use jobs::EventKind;
use serde_json::json;

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, reservation, settlement, stage, usage};

on_every_database![
    an_output_comes_back_byte_for_byte,
    the_first_output_of_a_stage_stays,
    stages_are_told_apart_by_item,
    a_started_stage_has_no_output_yet,
    a_finished_stage_does_not_start_again,
    sums_up_the_calls_of_each_stage,
];

async fn an_output_comes_back_byte_for_byte(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let record = stage(StageKind::Plan, json!({ "z": 1.0, "a": [1e300, "\u{0}\u{1f600}"], "m": null }));
    jobs.save_stage(&lease, &record).await.unwrap();
    let stored = jobs.load_stage(lease.job_id(), &record.key).await.unwrap().unwrap();
    assert_eq!(stored, record);
    assert_eq!(stored.output.to_string(), record.output.to_string(), "the order of keys is kept");
    let number = stage(StageKind::Edit, json!(12));
    jobs.save_stage(&lease, &number).await.unwrap();
    assert_eq!(jobs.stage_output(lease.job_id(), &number.key).await.unwrap(), Some(json!(12)));
}

async fn the_first_output_of_a_stage_stays(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    jobs.save_stage(&lease, &stage(StageKind::Plan, json!("first"))).await.unwrap();
    let version = jobs.get(lease.job_id()).await.unwrap().unwrap().version;
    jobs.save_stage(&lease, &stage(StageKind::Plan, json!("second"))).await.unwrap();
    let key = StageKey::from(StageKind::Plan);
    assert_eq!(jobs.stage_output(lease.job_id(), &key).await.unwrap(), Some(json!("first")));
    assert_eq!(jobs.get(lease.job_id()).await.unwrap().unwrap().version, version, "nothing happened");
}

async fn stages_are_told_apart_by_item(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    for item in ["", "src/a.rs", "src/b.rs"] {
        let key = StageKey { kind: StageKind::Edit, item: item.to_owned() };
        let record = domain::StageRecord { key, ..stage(StageKind::Edit, json!(item)) };
        jobs.save_stage(&lease, &record).await.unwrap();
    }
    let key = StageKey { kind: StageKind::Edit, item: "src/a.rs".to_owned() };
    assert_eq!(jobs.stage_output(lease.job_id(), &key).await.unwrap(), Some(json!("src/a.rs")));
    assert_eq!(jobs.stages(lease.job_id()).await.unwrap().len(), 3);
}

async fn a_started_stage_has_no_output_yet(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let key = StageKey::from(StageKind::Sheet);
    jobs.start_stage(&lease, &key).await.unwrap();
    assert_eq!(jobs.load_stage(lease.job_id(), &key).await.unwrap(), None);
    let stages = jobs.stages(lease.job_id()).await.unwrap();
    assert_eq!((stages[0].finished_at, stages[0].output_bytes), (None, None));

    let begun_at = stages[0].started_at;
    jobs.save_stage(&lease, &stage(StageKind::Sheet, json!("é"))).await.unwrap();
    let stages = jobs.stages(lease.job_id()).await.unwrap();
    assert_eq!((stages[0].started_at, stages[0].output_bytes), (begun_at, Some(4)));
    let events = jobs.events(lease.job_id(), 0).await.unwrap();
    let at = |kind| events.iter().find(|event| event.kind == kind).map(|event| event.at);
    assert_eq!((Some(begun_at), stages[0].finished_at), (at(EventKind::StageStarted), at(EventKind::StageSucceeded)));
}

async fn a_finished_stage_does_not_start_again(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let record = stage(StageKind::Plan, json!("plan"));
    jobs.save_stage(&lease, &record).await.unwrap();
    jobs.start_stage(&lease, &record.key).await.unwrap();
    assert_eq!(jobs.load_stage(lease.job_id(), &record.key).await.unwrap(), Some(record));
    let kinds: Vec<EventKind> =
        jobs.events(lease.job_id(), 2).await.unwrap().into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::StageSucceeded]);
}

async fn sums_up_the_calls_of_each_stage(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    jobs.save_stage(&lease, &stage(StageKind::Plan, json!("plan"))).await.unwrap();
    jobs.start_stage(&lease, &StageKey::from(StageKind::Edit)).await.unwrap();
    for (kind, turn, cost) in [(StageKind::Plan, 0, 10), (StageKind::Edit, 0, 20), (StageKind::Edit, 1, 30)] {
        let call = reservation(kind, turn, 1_000);
        jobs.reserve_call(&lease, &call).await.unwrap();
        jobs.settle_call(&lease, &settlement(&call, cost)).await.unwrap();
    }
    let stages = jobs.stages(lease.job_id()).await.unwrap();
    let told: Vec<_> = stages.iter().map(|stage| (stage.key.kind, stage.calls, stage.cost.as_nanos())).collect();
    assert_eq!(told, [(StageKind::Plan, 1, 10), (StageKind::Edit, 2, 50)]);
    let mut twice = usage();
    twice += usage();
    assert_eq!(stages[1].usage, twice);
    let job = jobs.get(lease.job_id()).await.unwrap().unwrap();
    assert_eq!(job.cost, stages.iter().map(|stage| stage.cost).sum::<Cost>());
}
