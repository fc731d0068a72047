//! Forgetting what a job was about.

use std::collections::BTreeMap;

use domain::{CallRecord, Failure, FailureCode, JobResult, JobSpec, JobStatus, StageKey, StageKind};
use jobs::{EventKind, Heartbeat, Jobs, Lease, NewJob, Purge, Retrial, StoreError};
use serde_json::json;

use crate::database::{Database, on_every_database};
use crate::sample::{claimed, failure, reservation, result, settlement, spec, stage, worker};

on_every_database![
    nothing_of_a_job_is_left_in_any_table,
    a_failed_job_and_one_in_wait_leave_nothing_either,
    what_it_cost_stays_counted,
    a_forgotten_job_says_so,
    a_job_that_waits_is_ended_by_it,
    a_worker_loses_a_job_that_is_forgotten,
    an_owner_forgets_only_its_own,
];

/// Stands in everything that came from the client, the repository and the model.
const MARKER: &str = "MARKER-5f2c";

fn marked_spec() -> JobSpec {
    JobSpec {
        prompt: format!("{MARKER} {}", "long enough for pages of its own ".repeat(900)),
        metadata: BTreeMap::from([(format!("name {MARKER}"), format!("value {MARKER}"))]),
        ..spec()
    }
}

/// Fills every table with what a worker writes.
async fn work(jobs: &Jobs, lease: &Lease) {
    let output = json!({ "text": format!("sheet {MARKER} {}", "x".repeat(20_000)) });
    jobs.save_stage(lease, &stage(StageKind::Sheet, output)).await.unwrap();
    let edit = StageKey { kind: StageKind::Edit, item: format!("src/{MARKER}.rs") };
    jobs.start_stage(lease, &edit).await.unwrap();
    let call = reservation(StageKind::Plan, 0, 900);
    jobs.reserve_call(lease, &call).await.unwrap();
    let answer = Some(json!({ "content": [MARKER] }));
    jobs.settle_call(lease, &CallRecord { response: answer, ..settlement(&call, 70) }).await.unwrap();
}

async fn running(jobs: &Jobs) -> Lease {
    jobs.submit(marked_spec()).await.unwrap();
    let lease = jobs.claim(&worker()).await.unwrap().unwrap().lease;
    work(jobs, &lease).await;
    lease
}

fn count(bytes: &[u8]) -> usize {
    bytes.windows(MARKER.len()).filter(|window| *window == MARKER.as_bytes()).count()
}

async fn nothing_of_a_job_is_left_in_any_table(database: &Database) {
    let jobs = &database.jobs;
    let lease = running(jobs).await;
    let diff = format!("+{MARKER}\n").into_bytes();
    let result = JobResult { diff, summary: MARKER.to_owned(), ..result() };
    jobs.succeed(&lease, &result).await.unwrap();
    let neighbour = jobs.submit(spec()).await.unwrap();
    // Prompt, metadata twice, sheet, item of a stage, answer, diff and summary.
    assert!(count(&database.raw_bytes().await) >= 8);

    assert_eq!(jobs.purge(None, lease.job_id()).await.unwrap(), Purge::Purged);

    assert_eq!(count(&database.raw_bytes().await), 0);
    assert_eq!(jobs.get(neighbour.id).await.unwrap(), Some(neighbour));
}

async fn a_failed_job_and_one_in_wait_leave_nothing_either(database: &Database) {
    let jobs = &database.jobs;
    let failure = Failure::new(FailureCode::RepoNotFound, format!("404 for {MARKER}"));
    let failed = running(jobs).await;
    jobs.fail(&failed, &failure).await.unwrap();
    let waiting = running(jobs).await;
    jobs.requeue(&waiting, &failure, std::time::Duration::from_hours(1)).await.unwrap();
    assert!(count(&database.raw_bytes().await) >= 10);
    for lease in [failed, waiting] {
        assert_eq!(jobs.purge(None, lease.job_id()).await.unwrap(), Purge::Purged);
    }
    assert_eq!(count(&database.raw_bytes().await), 0);
}

/// Quotas add up `cost_nanos` by `created_at`.
async fn what_it_cost_stays_counted(database: &Database) {
    let lease = running(&database.jobs).await;
    let query = "SELECT cost_nanos, output_tokens FROM jobs WHERE created_at IS NOT NULL";
    let sums = async || -> (i64, i64) {
        if database.url().starts_with("sqlite:") {
            let pool = sqlx::SqlitePool::connect(database.url()).await.unwrap();
            sqlx::query_as(query).fetch_one(&pool).await.unwrap()
        } else {
            let pool = sqlx::PgPool::connect(database.url()).await.unwrap();
            sqlx::query_as(query).fetch_one(&pool).await.unwrap()
        }
    };
    let before = sums().await;
    database.jobs.purge(None, lease.job_id()).await.unwrap();
    assert_eq!((before.0, sums().await), (70, before));
}

async fn a_forgotten_job_says_so(database: &Database) {
    let jobs = &database.jobs;
    let lease = claimed(jobs).await.lease;
    let id = lease.job_id();
    jobs.succeed(&lease, &result()).await.unwrap();
    let version = jobs.version(id).await.unwrap().unwrap();
    assert_eq!(jobs.purge(None, id).await.unwrap(), Purge::Purged);
    assert_eq!(jobs.purge(None, id).await.unwrap(), Purge::AlreadyPurged);
    assert!(matches!(jobs.get(id).await, Err(StoreError::Purged)));
    assert!(matches!(jobs.retry(id, None).await, Err(StoreError::Purged)));
    let events = jobs.events(id, 0).await.unwrap();
    let expected = (EventKind::JobPurged, version + 1, &json!({}));
    assert_eq!(events.iter().map(|event| (event.kind, event.seq, &event.data)).collect::<Vec<_>>(), [expected]);
    assert_eq!(jobs.version(id).await.unwrap(), Some(version + 1));
    assert_eq!(jobs.purge(None, domain::JobId::new()).await.unwrap(), Purge::NotFound);
}

async fn a_job_that_waits_is_ended_by_it(database: &Database) {
    let jobs = &database.jobs;
    let id = jobs.submit(spec()).await.unwrap().id;
    assert_eq!(jobs.purge(None, id).await.unwrap(), Purge::Purged);
    assert!(jobs.claim(&worker()).await.unwrap().is_none());
    assert_eq!(jobs.cancel(id).await.unwrap(), jobs::Cancellation::AlreadyOver(JobStatus::Canceled));
}

async fn a_worker_loses_a_job_that_is_forgotten(database: &Database) {
    let jobs = &database.jobs;
    let lease = running(jobs).await;
    assert_eq!(jobs.purge(None, lease.job_id()).await.unwrap(), Purge::Purged);
    assert_eq!(jobs.check(&[lease]).await.unwrap(), [Heartbeat::Lost]);
    let record = stage(StageKind::Plan, json!({ "text": MARKER }));
    let lost = [
        jobs.save_stage(&lease, &record).await,
        jobs.reserve_call(&lease, &reservation(StageKind::Plan, 1, 5)).await,
        jobs.succeed(&lease, &result()).await,
        jobs.fail(&lease, &failure()).await,
        jobs.release(&lease).await,
    ];
    assert!(lost.iter().all(|outcome| matches!(outcome, Err(StoreError::LeaseLost))), "{lost:?}");
    assert_eq!(count(&database.raw_bytes().await), 0);
}

async fn an_owner_forgets_only_its_own(database: &Database) {
    let jobs = &database.jobs;
    let job = NewJob { owner: Some("anna".to_owned()), ..NewJob::from(spec()) };
    let id = jobs.submit(job).await.unwrap().id;
    assert_eq!(jobs.purge(Some("ben"), id).await.unwrap(), Purge::NotFound);
    assert!(jobs.get(id).await.unwrap().is_some());
    assert_eq!(jobs.purge(Some("anna"), id).await.unwrap(), Purge::Purged);
    assert!(jobs.get_of(Some("ben"), id).await.unwrap().is_none());
    assert!(matches!(jobs.get_of(Some("anna"), id).await, Err(StoreError::Purged)));
    let retrial = jobs.retry(domain::JobId::new(), None).await.unwrap();
    assert_eq!(retrial, Retrial::NotFound);
}
