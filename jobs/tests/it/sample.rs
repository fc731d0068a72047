//! Values that tests submit and store.

use domain::{
    CallId, CallRecord, CallReservation, CommitId, Cost, Failure, FailureCode, JobResult, JobSpec, Outcome, Receipt,
    RepoUrl, StageKey, StageKind, StageRecord, TokenUsage,
};
use jobs::{ClaimedJob, Jobs, WorkerId};
use serde_json::{Value, json};

pub(crate) fn spec() -> JobSpec {
    JobSpec::new(RepoUrl::parse("https://example.com/a/b.git").unwrap(), "add a flag\u{0} – and \"quotes\"")
}

pub(crate) fn worker() -> WorkerId {
    WorkerId::new("worker-1")
}

/// Submits a job and claims it: the database must hold no other open one.
pub(crate) async fn claimed(jobs: &Jobs) -> ClaimedJob {
    let job = jobs.submit(spec()).await.unwrap();
    let claimed = jobs.claim(&worker()).await.unwrap().unwrap();
    assert_eq!(claimed.id, job.id);
    claimed
}

pub(crate) fn stage(kind: StageKind, output: Value) -> StageRecord {
    StageRecord { key: kind.into(), output }
}

pub(crate) fn reservation(kind: StageKind, turn: u32, reserved_nanos: i64) -> CallReservation {
    CallReservation {
        id: CallId::new(),
        stage: StageKey::from(kind),
        turn,
        model: "claude-opus-5-5".to_owned(),
        request_sha256: format!("{turn:064x}"),
        reserved: Cost::from_nanos(reserved_nanos),
    }
}

/// How a reserved call ended: with an answer, for `cost_nanos`.
pub(crate) fn settlement(reservation: &CallReservation, cost_nanos: i64) -> CallRecord {
    CallRecord {
        id: reservation.id,
        usage: usage(),
        cost: Cost::from_nanos(cost_nanos),
        response: Some(json!({ "z": 1.0, "a": "\u{0}", "content": [] })),
        stop_reason: "end_turn".to_owned(),
        duration_ms: 1_200,
    }
}

pub(crate) fn usage() -> TokenUsage {
    TokenUsage { input_tokens: 1, cache_creation_tokens: 20, cache_read_tokens: 300, output_tokens: 4_000 }
}

pub(crate) fn result() -> JobResult {
    JobResult {
        outcome: Outcome::Changed,
        diff: b"diff --git a/x b/x\n\xff\x00".to_vec(),
        receipt: Receipt {
            base_commit: CommitId::parse(&"a".repeat(40)).unwrap(),
            base_tree: "b".repeat(40),
            result_tree: "c".repeat(40),
            patch_sha256: "d".repeat(64),
        },
        files: vec![],
        summary: "Adds the flag.".to_owned(),
        suggested_commit_message: "Add the flag".to_owned(),
        flags: vec![],
        verified: true,
    }
}

pub(crate) fn failure() -> Failure {
    Failure::new(FailureCode::RepoUnreachable, "the host broke off")
}
