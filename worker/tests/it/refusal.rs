//! A key that the model service refuses fails few jobs, not all that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::{
    CallId, CallRecord, CallReservation, Cost, Failure, FailureCode, JobStatus, StageKey, StageKind, TokenUsage,
};
use jobs::JobQuery;
use pipeline::Journal;
use serde_json::json;
use tokio::time::sleep;
use worker::{Vitals, WorkError, WorkerConfig};

use crate::fixture::{Database, quick, result, work};

const JOBS: usize = 8;
const SLOTS: usize = 2;

fn refused() -> WorkError {
    WorkError::Failed { failure: Failure::new(FailureCode::ModelAuth, "the key was revoked"), retry_after: None }
}

async fn count(database: &Database, status: JobStatus) -> usize {
    let query = JobQuery { statuses: vec![status], limit: 100, ..JobQuery::default() };
    database.jobs.list(&query).await.unwrap().jobs.len()
}

#[tokio::test]
async fn jobs_wait_while_the_key_is_refused() {
    let database = Database::new().await;
    for _ in 0..JOBS {
        database.submit().await;
    }
    let vitals = Vitals::default();
    let config =
        WorkerConfig { concurrency: SLOTS, refusal_pause: Duration::from_hours(1), vitals: vitals.clone(), ..quick() };
    let worker = database.start_worker(work(async |_, _| Err(refused())), config);
    while !vitals.is_refused_by_model() {
        sleep(Duration::from_millis(5)).await;
    }
    // Long enough for all of them, were they claimed.
    sleep(Duration::from_millis(500)).await;
    let failed = count(&database, JobStatus::Failed).await;
    assert!((1..=SLOTS).contains(&failed), "{failed}");
    assert_eq!(count(&database, JobStatus::Queued).await, JOBS - failed);
    worker.stop().await;
}

#[tokio::test]
async fn they_go_on_once_a_call_is_answered() {
    let database = Database::new().await;
    let mut ids = Vec::new();
    for _ in 0..JOBS {
        ids.push(database.submit().await);
    }
    let (vitals, tried) = (Vitals::default(), Arc::new(AtomicUsize::new(0)));
    let first_pause = Duration::from_millis(5);
    let config = WorkerConfig { concurrency: 1, refusal_pause: first_pause, vitals: vitals.clone(), ..quick() };
    let worker = database.start_worker(
        work(move |journal, _| {
            let number = tried.fetch_add(1, Ordering::SeqCst);
            async move {
                if number < 3 {
                    return Err(refused());
                }
                call(journal.as_ref()).await;
                Ok(result())
            }
        }),
        config,
    );
    for (number, id) in ids.into_iter().enumerate() {
        database.until(id, if number < 3 { JobStatus::Failed } else { JobStatus::Succeeded }).await;
    }
    assert!(!vitals.is_refused_by_model());
    worker.stop().await;
}

/// A call to the model that is answered.
async fn call(journal: &dyn Journal) {
    let reservation = CallReservation {
        id: CallId::new(),
        stage: StageKey::from(StageKind::Plan),
        turn: 0,
        model: "claude-opus-5-5".to_owned(),
        request_sha256: "0".repeat(64),
        reserved: Cost::from_nanos(10),
    };
    journal.reserve_call(&reservation).await.unwrap();
    let record = CallRecord {
        id: reservation.id,
        usage: TokenUsage::default(),
        cost: Cost::from_nanos(1),
        response: Some(json!({})),
        stop_reason: "end_turn".to_owned(),
        duration_ms: 1,
    };
    journal.settle_call(&record).await.unwrap();
}
