//! What the pipeline notes and stores becomes the job's events and stages.

use domain::{CallId, CallReservation, Cost, JobStatus, StageKey, StageKind, StageRecord};
use serde_json::json;

use crate::fixture::{Database, quick, result, work};

#[tokio::test]
async fn a_stage_begins_before_it_ends() {
    let database = Database::new().await;
    let worker = database.start_worker(
        work(async |journal, _| {
            for kind in [StageKind::Sheet, StageKind::Plan, StageKind::Edit] {
                let key = StageKey::from(kind);
                journal.start_stage(&key).await.unwrap();
                let record = StageRecord { key, output: json!(kind) };
                journal.save_stage(&record).await.unwrap();
            }
            Ok(result())
        }),
        quick(),
    );
    let id = database.submit().await;
    database.until(id, JobStatus::Succeeded).await;
    let events = database.jobs.events(id, 0).await.unwrap();
    let told: Vec<String> = events
        .iter()
        .map(|event| format!("{} {}", event.kind, event.data["stage"].as_str().unwrap_or_default()))
        .collect();
    let expected = [
        "job.queued ",
        "job.started ",
        "stage.started sheet",
        "stage.succeeded sheet",
        "stage.started plan",
        "stage.succeeded plan",
        "stage.started edit",
        "stage.succeeded edit",
        "job.succeeded ",
    ];
    assert_eq!(told, expected);
    worker.stop().await;
}

#[tokio::test]
async fn a_stage_that_only_began_is_told_too() {
    let database = Database::new().await;
    let worker = database.start_worker(
        work(async |journal, _| {
            journal.start_stage(&StageKind::Sheet.into()).await.unwrap();
            std::future::pending().await
        }),
        quick(),
    );
    let id = database.submit().await;
    let begun = async {
        while database.jobs.stages(id).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), begun).await.expect("the beginning is written");
    worker.stop().await;
}

#[tokio::test]
async fn the_journal_is_the_jobs_rows() {
    let database = Database::new().await;
    let worker = database.start_worker(
        work(async |journal, _| {
            let key = StageKey::from(StageKind::Plan);
            assert_eq!(journal.load_stage(&key).await.unwrap(), None);
            let reserved = Cost::from_nanos(42);
            let (model, request_sha256) = ("m".to_owned(), "0".repeat(64));
            let call =
                CallReservation { id: CallId::new(), stage: key.clone(), turn: 0, model, request_sha256, reserved };
            journal.reserve_call(&call).await.unwrap();
            assert_eq!(journal.spent().await.unwrap(), reserved);
            assert_eq!(journal.load_call(&key, 0, &call.request_sha256).await.unwrap(), None);
            Ok(result())
        }),
        quick(),
    );
    let id = database.submit().await;
    database.until(id, JobStatus::Succeeded).await;
    assert_eq!(database.jobs.spent(id).await.unwrap(), Cost::from_nanos(42));
    worker.stop().await;
}
