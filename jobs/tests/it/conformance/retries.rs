//! A finished job is run again because somebody asks for it.

use std::time::Duration;

use domain::{Cost, JobId, JobStatus, StageKey, StageKind};
use jobs::{EventKind, Idempotency, Retrial, Retry};
use serde_json::json;

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, failure, reservation, result, settlement, spec, stage, worker};

on_every_database![
    every_finished_job_may_run_again,
    only_a_finished_job_may_run_again,
    asking_twice_is_asking_once,
    a_named_request_runs_a_job_once_even_if_it_has_ended_since,
    forgets_the_named_stage_and_all_later_ones,
    a_stage_with_an_item_leaves_its_others_alone,
    without_a_stage_nothing_is_forgotten,
    a_lease_of_the_time_before_writes_nothing,
];

async fn every_finished_job_may_run_again(database: &Database) {
    let jobs = &database.jobs;
    let succeeded = claimed(jobs).await.lease;
    jobs.succeed(&succeeded, &result()).await.unwrap();
    let failed = claimed(jobs).await.lease;
    jobs.requeue(&failed, &failure(), Duration::ZERO).await.unwrap();
    let failed = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    jobs.fail(&failed, &failure()).await.unwrap();
    let canceled = jobs.submit(spec()).await.unwrap().id;
    jobs.cancel(canceled).await.unwrap();
    for id in [succeeded.job_id(), failed.job_id(), canceled] {
        let before = jobs.get(id).await.unwrap().unwrap();
        assert_eq!(jobs.retry(id, None).await.unwrap(), Retrial::Queued);
        let job = jobs.get(id).await.unwrap().unwrap();
        assert_eq!((job.status, job.attempt, job.rescues), (JobStatus::Queued, 0, 0));
        assert_eq!((job.result, job.failure, job.finished_at, job.cancel_requested_at), (None, None, None, None));
        assert_eq!((job.version, job.created_at), (before.version + 1, before.created_at));
        assert_eq!(jobs.diff(id).await.unwrap(), None);
        let again = jobs.claim(&worker()).await.unwrap().unwrap();
        assert_eq!((again.id, again.attempt), (id, 1));
        jobs.succeed(&again.lease, &result()).await.unwrap();
    }
}

async fn only_a_finished_job_may_run_again(database: &Database) {
    let jobs = &database.jobs;
    let running = claimed(jobs).await.id;
    let queued = jobs.submit(spec()).await.unwrap().id;
    assert_eq!(jobs.retry(queued, None).await.unwrap(), Retrial::NotOver(JobStatus::Queued));
    assert_eq!(jobs.retry(running, None).await.unwrap(), Retrial::NotOver(JobStatus::Running));
    assert_eq!(jobs.retry(JobId::new(), None).await.unwrap(), Retrial::NotFound);
    assert_eq!(jobs.get(queued).await.unwrap().unwrap().version, 1);
}

async fn asking_twice_is_asking_once(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    jobs.save_stage(&lease, &stage(StageKind::Plan, json!("plan"))).await.unwrap();
    jobs.fail(&lease, &failure()).await.unwrap();
    let id = lease.job_id();
    assert_eq!(jobs.retry(id, None).await.unwrap(), Retrial::Queued);
    assert_eq!(jobs.retry(id, None).await.unwrap(), Retrial::AlreadyRetried);
    let plan = StageKey::from(StageKind::Plan);
    assert_eq!(jobs.retry(id, Some(&plan)).await.unwrap(), Retrial::NotOver(JobStatus::Queued), "another request");
    let again = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    assert_eq!(jobs.retry(id, None).await.unwrap(), Retrial::AlreadyRetried);
    assert_eq!(jobs.retry(id, Some(&plan)).await.unwrap(), Retrial::NotOver(JobStatus::Running));
    assert!(jobs.stage_output(id, &plan).await.unwrap().is_some(), "nothing is forgotten while a job is open");
    let events = jobs.events(id, 0).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.kind == EventKind::JobRetried).count(), 1);
    jobs.fail(&again, &failure()).await.unwrap();
    assert_eq!(jobs.retry(id, None).await.unwrap(), Retrial::Queued, "another end, another run");
}

async fn a_named_request_runs_a_job_once_even_if_it_has_ended_since(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let id = lease.job_id();
    let named = |key: &str, body: &str| Idempotency { key: key.to_owned(), body_sha256: body.to_owned() };
    let retry =
        async |name: &Idempotency| jobs.retry(id, Retry { idempotency: Some(name), ..Retry::default() }).await.unwrap();
    let (first, second) = (named("first", "body"), named("second", "body"));
    assert_eq!(retry(&first).await, Retrial::NotOver(JobStatus::Running));
    jobs.fail(&lease, &failure()).await.unwrap();
    assert_eq!(retry(&first).await, Retrial::Queued);
    assert_eq!(retry(&first).await, Retrial::Replayed);
    jobs.cancel(id).await.unwrap();
    let ended = jobs.get(id).await.unwrap().unwrap();
    assert_eq!(retry(&first).await, Retrial::Replayed, "its first answer was lost");
    assert_eq!(retry(&named("first", "another body")).await, Retrial::KeyReused);
    assert_eq!(jobs.get(id).await.unwrap().unwrap(), ended);
    assert_eq!(retry(&second).await, Retrial::Queued);
    jobs.cancel(id).await.unwrap();
    assert_eq!(jobs.retry(id, None).await.unwrap(), Retrial::Queued, "without a name it is another request");
}

async fn forgets_the_named_stage_and_all_later_ones(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let kinds = [StageKind::Plan, StageKind::Edit, StageKind::Review];
    for (turn, kind) in kinds.into_iter().enumerate() {
        let call = reservation(kind, u32::try_from(turn).unwrap(), 700);
        jobs.reserve_call(&lease, &call).await.unwrap();
        jobs.settle_call(&lease, &settlement(&call, 40)).await.unwrap();
        jobs.save_stage(&lease, &stage(kind, json!(kind.as_str()))).await.unwrap();
    }
    jobs.succeed(&lease, &result()).await.unwrap();
    let id = lease.job_id();
    jobs.retry(id, Some(&StageKind::Edit.into())).await.unwrap();
    for (turn, kind) in kinds.into_iter().enumerate() {
        let is_kept = kind == StageKind::Plan;
        assert_eq!(jobs.load_stage(id, &kind.into()).await.unwrap().is_some(), is_kept, "{kind}");
        let turn = u32::try_from(turn).unwrap();
        let answer = jobs.load_call(id, &kind.into(), turn, &format!("{turn:064x}")).await.unwrap();
        assert_eq!(answer.is_some(), is_kept, "{kind}");
    }
    assert_eq!(jobs.spent(id).await.unwrap(), Cost::from_nanos(120), "what is paid is paid");
    assert_eq!(jobs.get(id).await.unwrap().unwrap().cost, Cost::from_nanos(120));
    let events = jobs.events(id, 0).await.unwrap();
    let last = events.last().unwrap();
    assert_eq!((last.kind, &last.data), (EventKind::JobRetried, &json!({ "fromStage": "edit" })));

    let again = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    jobs.save_stage(&again, &stage(StageKind::Edit, json!("another"))).await.unwrap();
    assert_eq!(jobs.stage_output(id, &StageKind::Edit.into()).await.unwrap(), Some(json!("another")));
}

async fn a_stage_with_an_item_leaves_its_others_alone(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let key = |item: &str| StageKey { kind: StageKind::Edit, item: item.to_owned() };
    for item in ["a.rs", "b.rs"] {
        let record = domain::StageRecord { key: key(item), ..stage(StageKind::Edit, json!(item)) };
        jobs.save_stage(&lease, &record).await.unwrap();
    }
    jobs.save_stage(&lease, &stage(StageKind::Review, json!("review"))).await.unwrap();
    jobs.fail(&lease, &failure()).await.unwrap();
    jobs.retry(lease.job_id(), Some(&key("a.rs"))).await.unwrap();
    let left: Vec<StageKey> = jobs.stages(lease.job_id()).await.unwrap().into_iter().map(|stage| stage.key).collect();
    assert_eq!(left, [key("b.rs")]);
}

async fn without_a_stage_nothing_is_forgotten(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let call = reservation(StageKind::Edit, 0, 700);
    jobs.reserve_call(&lease, &call).await.unwrap();
    jobs.settle_call(&lease, &settlement(&call, 40)).await.unwrap();
    jobs.save_stage(&lease, &stage(StageKind::Plan, json!("plan"))).await.unwrap();
    jobs.fail(&lease, &failure()).await.unwrap();
    let id = lease.job_id();
    jobs.retry(id, None).await.unwrap();
    assert!(jobs.load_stage(id, &StageKind::Plan.into()).await.unwrap().is_some());
    assert!(jobs.load_call(id, &call.stage, 0, &call.request_sha256).await.unwrap().is_some());
}

async fn a_lease_of_the_time_before_writes_nothing(database: &Database) {
    let jobs = &database.jobs;
    let before = claimed(jobs).await.lease;
    jobs.fail(&before, &failure()).await.unwrap();
    jobs.retry(before.job_id(), None).await.unwrap();
    jobs.claim(&worker()).await.unwrap().unwrap();
    assert!(matches!(jobs.succeed(&before, &result()).await, Err(jobs::StoreError::LeaseLost)));
}
