//! Money is set aside before a call, accounted for after, and no answer is paid for twice.

use domain::{Cost, StageKey, StageKind};
use jobs::EventKind;

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, reservation, settlement, usage};

on_every_database![
    an_open_reservation_counts_as_spent,
    reserving_twice_counts_once,
    settling_twice_counts_once,
    an_answer_comes_back_for_the_same_request_only,
    a_call_that_failed_has_no_answer,
    answers_are_forgotten_and_their_cost_is_not,
];

async fn an_open_reservation_counts_as_spent(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    assert_eq!(jobs.spent(lease.job_id()).await.unwrap(), Cost::ZERO);
    let (open, settled) = (reservation(StageKind::Plan, 0, 700), reservation(StageKind::Plan, 1, 5_000));
    jobs.reserve_call(&lease, &open).await.unwrap();
    jobs.reserve_call(&lease, &settled).await.unwrap();
    assert_eq!(jobs.spent(lease.job_id()).await.unwrap(), Cost::from_nanos(5_700));
    jobs.settle_call(&lease, &settlement(&settled, 40)).await.unwrap();
    assert_eq!(jobs.spent(lease.job_id()).await.unwrap(), Cost::from_nanos(740));
    assert_eq!(jobs.get(lease.job_id()).await.unwrap().unwrap().cost, Cost::from_nanos(40), "what is known");
}

async fn reserving_twice_counts_once(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let call = reservation(StageKind::Plan, 0, 700);
    jobs.reserve_call(&lease, &call).await.unwrap();
    jobs.reserve_call(&lease, &call).await.unwrap();
    assert_eq!(jobs.spent(lease.job_id()).await.unwrap(), Cost::from_nanos(700));
}

async fn settling_twice_counts_once(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let call = reservation(StageKind::Plan, 0, 700);
    jobs.reserve_call(&lease, &call).await.unwrap();
    jobs.settle_call(&lease, &settlement(&call, 40)).await.unwrap();
    jobs.settle_call(&lease, &settlement(&call, 999)).await.unwrap();
    let job = jobs.get(lease.job_id()).await.unwrap().unwrap();
    assert_eq!((job.cost, job.usage), (Cost::from_nanos(40), usage()));
    let events = jobs.events(lease.job_id(), 2).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind, &events[0].data["costNanos"]), (EventKind::CallSettled, &40.into()));
}

async fn an_answer_comes_back_for_the_same_request_only(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let call = reservation(StageKind::Plan, 3, 700);
    jobs.reserve_call(&lease, &call).await.unwrap();
    let record = settlement(&call, 40);
    let load = async |stage: StageKind, turn, hash: &str| {
        jobs.load_call(lease.job_id(), &StageKey::from(stage), turn, hash).await.unwrap()
    };
    assert_eq!(load(StageKind::Plan, 3, &call.request_sha256).await, None);
    jobs.settle_call(&lease, &record).await.unwrap();
    let answer = load(StageKind::Plan, 3, &call.request_sha256).await.unwrap();
    assert_eq!(answer.to_string(), record.response.unwrap().to_string(), "byte for byte");
    assert_eq!(load(StageKind::Plan, 3, "another").await, None);
    assert_eq!(load(StageKind::Plan, 2, &call.request_sha256).await, None);
    assert_eq!(load(StageKind::Edit, 3, &call.request_sha256).await, None);
}

async fn answers_are_forgotten_and_their_cost_is_not(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let [plan, edit] = [StageKind::Plan, StageKind::Edit].map(|stage| reservation(stage, 0, 700));
    for call in [&plan, &edit] {
        jobs.reserve_call(&lease, call).await.unwrap();
        jobs.settle_call(&lease, &settlement(call, 40)).await.unwrap();
    }
    jobs.forget_answers(&lease, &edit.stage).await.unwrap();
    let load = async |call: &domain::CallReservation| {
        jobs.load_call(lease.job_id(), &call.stage, 0, &call.request_sha256).await.unwrap()
    };
    assert_eq!(load(&edit).await, None);
    assert!(load(&plan).await.is_some(), "another stage's answers stay");
    assert_eq!(jobs.spent(lease.job_id()).await.unwrap(), Cost::from_nanos(80));
}

async fn a_call_that_failed_has_no_answer(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let call = reservation(StageKind::Plan, 0, 700);
    jobs.reserve_call(&lease, &call).await.unwrap();
    let failed = domain::CallRecord { response: None, ..settlement(&call, 15) };
    jobs.settle_call(&lease, &failed).await.unwrap();
    let stored = jobs.load_call(lease.job_id(), &call.stage, 0, &call.request_sha256).await.unwrap();
    assert_eq!(stored, None);
    assert_eq!(jobs.spent(lease.job_id()).await.unwrap(), Cost::from_nanos(15), "it cost something all the same");
}
