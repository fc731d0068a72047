//! Any step may be the last one of a process: what was finished is found again, and paid for once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::{CallRecord, CallReservation, Cost, FailureCode, StageKey, StageRecord};
use futures::FutureExt;
use futures::future::BoxFuture;
use pipeline::{Journal, JournalError, MemoryJournal};
use serde_json::Value;
use standin::claude::{Fault, Reply, RequestView};
use standin::repo::RepoBuilder;

use crate::scene::{GOOD_LINES, MAIN, Pass, Scene, diligent, done, object, pass_of, replace};

/// A journal whose process ends right after the n-th write.
struct Crashing {
    memory: Arc<MemoryJournal>,
    writes_left: AtomicUsize,
}

impl Crashing {
    fn after(memory: &Arc<MemoryJournal>, writes: usize) -> Arc<Self> {
        Arc::new(Self { memory: memory.clone(), writes_left: AtomicUsize::new(writes) })
    }

    /// The write itself is done; what follows it is not.
    fn crash_in_time(&self) -> Result<(), JournalError> {
        let left = self.writes_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(1) | Err(_) => Err(JournalError::Storage("the process ended".into())),
            Ok(_) => Ok(()),
        }
    }
}

impl Journal for Crashing {
    fn start_stage<'a>(&'a self, key: &'a StageKey) -> BoxFuture<'a, Result<(), JournalError>> {
        self.memory.start_stage(key)
    }

    fn load_stage<'a>(&'a self, key: &'a StageKey) -> BoxFuture<'a, Result<Option<StageRecord>, JournalError>> {
        self.memory.load_stage(key)
    }

    fn save_stage<'a>(&'a self, record: &'a StageRecord) -> BoxFuture<'a, Result<(), JournalError>> {
        async move { self.memory.save_stage(record).await.and_then(|()| self.crash_in_time()) }.boxed()
    }

    fn load_call<'a>(
        &'a self,
        stage: &'a StageKey,
        turn: u32,
        sha: &'a str,
    ) -> BoxFuture<'a, Result<Option<Value>, JournalError>> {
        self.memory.load_call(stage, turn, sha)
    }

    fn forget_answers<'a>(&'a self, stage: &'a StageKey) -> BoxFuture<'a, Result<(), JournalError>> {
        self.memory.forget_answers(stage)
    }

    fn reserve_call<'a>(&'a self, reservation: &'a CallReservation) -> BoxFuture<'a, Result<(), JournalError>> {
        self.memory.reserve_call(reservation)
    }

    fn settle_call<'a>(&'a self, record: &'a CallRecord) -> BoxFuture<'a, Result<(), JournalError>> {
        async move { self.memory.settle_call(record).await.and_then(|()| self.crash_in_time()) }.boxed()
    }

    fn spent(&self) -> BoxFuture<'_, Result<Cost, JournalError>> {
        self.memory.spent()
    }
}

/// A model that needs every pass: a second edit turn, a repair and a second review.
fn laborious(request: &RequestView) -> Reply {
    let is_repaired = request.first_text().contains("100.0");
    match (pass_of(request), request.turn()) {
        (Pass::Edit, 0) => Reply::tools([replace("not there", "x")]),
        (Pass::Review, _) if !is_repaired => object("blocker", GOOD_LINES[1]),
        (Pass::Repair, _) => Reply::tools([replace("round(float(text) * 100)", "round(float(text) * 100.0)"), done()]),
        _ => diligent(request),
    }
}

#[tokio::test]
async fn a_crash_after_any_write_costs_no_call_and_changes_no_byte() {
    let whole = Scene::new(laborious).await;
    let expected = whole.run().await.expect("a result");
    let calls = whole.requests().len();
    assert_eq!(calls, 6);

    let mut crashes = 0;
    loop {
        let scene = Scene::new(laborious).await;
        let memory = Arc::new(MemoryJournal::default());
        let first = scene.run_with(Crashing::after(&memory, crashes + 1)).await;
        if first.is_ok() {
            break;
        }
        crashes += 1;
        let resumed = scene.run_with(memory).await.expect("a result");
        assert_eq!(resumed.diff, expected.diff, "after write {crashes}");
        assert_eq!(resumed, expected, "after write {crashes}");
        assert_eq!(scene.requests().len(), calls, "after write {crashes}");
    }
    assert_eq!(crashes, 7 + calls, "seven stages and {calls} calls are written");
}

#[tokio::test]
async fn answers_that_came_to_nothing_are_asked_for_anew() {
    let scene = Scene::new(|request: &RequestView| match pass_of(request) {
        Pass::Edit if request.number() < 4 => Reply::text("I would rather not."),
        _ => diligent(request),
    })
    .await;
    let memory = Arc::new(MemoryJournal::default());
    let failure = scene.run_with(memory.clone()).await.expect_err("no edits").failure();
    assert_eq!(failure.code, FailureCode::ModelOutputInvalid);
    assert_eq!(scene.requests().len(), 3);
    let spent = memory.spent().await.expect("known");

    scene.run_with(memory.clone()).await.expect("a result");
    assert_eq!(scene.requests().len(), 6, "the plan is not asked for again, the edits are");
    assert!(memory.spent().await.expect("known") > spent);
}

#[tokio::test]
async fn a_resumed_job_stays_on_its_commit() {
    let scene = Scene::new(diligent).await;
    let memory = Arc::new(MemoryJournal::default());
    scene.run_with(Crashing::after(&memory, 2)).await.expect_err("a crash");
    let moved = RepoBuilder::new()
        .file("prices.py", "def cents(text):\n    return 0\n")
        .file("main.py", MAIN)
        .commit("Start over");
    let moved = scene.git.add("prices", &moved).expect("a repository");
    assert_ne!(moved.last(), scene.commit);
    let result = scene.run_with(memory).await.expect("a result");
    assert_eq!(result.receipt.base_commit.as_str(), scene.commit);
    assert!(String::from_utf8_lossy(&result.diff).contains(GOOD_LINES[0]));
}

#[tokio::test]
async fn an_overloaded_service_is_asked_again() {
    let scene = Scene::new(|request: &RequestView| {
        if request.number() == 0 {
            return Reply::fault(Fault::status(529).with_header("retry-after", "0"));
        }
        diligent(request)
    })
    .await;
    assert!(scene.run().await.expect("a result").verified);
    assert_eq!(scene.requests().len(), 4);
}

#[tokio::test]
async fn an_account_without_credit_is_not_asked_again() {
    let scene = Scene::new(|_: &RequestView| Reply::fault(Fault::status(402))).await;
    let failure = scene.run().await.expect_err("no credit").failure();
    assert_eq!(failure.code, FailureCode::ModelAuth);
    assert_eq!(scene.requests().len(), 1);
}

#[tokio::test]
async fn a_job_never_costs_more_than_it_may() {
    let mut ends = [0, 0];
    for cents in [1, 5, 10, 15, 20, 30, 40, 60, 200] {
        let mut scene = Scene::new(laborious).await;
        let limit = Cost::from_nanos(cents * 10_000_000);
        scene.spec.max_cost = Some(limit);
        match scene.run().await {
            Ok(_) => ends[0] += 1,
            Err(error) => {
                assert_eq!(error.failure().code, FailureCode::BudgetExceeded);
                ends[1] += 1;
            }
        }
        assert!(scene.claude.cost_nanos() <= limit.as_nanos(), "{cents} cents");
    }
    assert!(ends[0] > 0 && ends[1] > 0, "{ends:?}");
}

/// A guess from the length of a text can be too low: where money hangs on it, the service counts.
#[tokio::test]
async fn a_limit_is_kept_by_the_services_own_count() {
    let mut scene = Scene::new(diligent).await;
    scene.spec.max_cost = Some(Cost::from_nanos(100_000_000_000));
    scene.run().await.expect("a result");
    let counts = scene.claude.ledger().iter().filter(|exchange| exchange.path.ends_with("count_tokens")).count();
    assert_eq!((counts, scene.requests().len()), (3, 3));
}
