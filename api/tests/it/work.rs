//! What a worker would do, by the store's own façade.

use domain::{
    CallId, CallRecord, CallReservation, CommitId, Cost, FileChange, FileChangeKind, Flag, FlagKind, JobId, JobResult,
    JobSpec, Outcome, Receipt, RepoPath, RepoUrl, StageKey, StageRecord, TokenUsage,
};
use jobs::{ClaimedJob, Jobs, Lease, WorkerId};
use serde_json::{Value, json};

pub(crate) async fn submit(jobs: &Jobs) -> JobId {
    let url = RepoUrl::parse("https://github.com/jayhack/llm.sh").expect("valid");
    jobs.submit(JobSpec::new(url, "Say hello")).await.expect("submit").id
}

pub(crate) async fn claim(jobs: &Jobs) -> ClaimedJob {
    try_claim(jobs).await.expect("a job is due")
}

/// Claims the next job, if there is one.
pub(crate) async fn try_claim(jobs: &Jobs) -> Option<ClaimedJob> {
    jobs.claim(&WorkerId::new("test")).await.expect("claim")
}

/// Submits a job and claims it.
pub(crate) async fn running(jobs: &Jobs) -> ClaimedJob {
    submit(jobs).await;
    claim(jobs).await
}

pub(crate) async fn save_stage(jobs: &Jobs, lease: &Lease, key: StageKey, output: Value) {
    jobs.save_stage(lease, &StageRecord { key, output }).await.expect("save the stage");
}

/// Starts a stage with one call to the model: 1,000 tokens in, 200 out, 3,000 read from the cache, 500 written to it, for $0.0123.
pub(crate) async fn call(jobs: &Jobs, lease: &Lease, stage: StageKey) {
    jobs.start_stage(lease, &stage).await.expect("start the stage");
    let reservation = CallReservation {
        id: CallId::new(),
        stage,
        turn: 0,
        model: "claude-opus-5-5".to_owned(),
        request_sha256: "0".repeat(64),
        reserved: Cost::from_nanos(900_000_000),
    };
    jobs.reserve_call(lease, &reservation).await.expect("reserve");
    let record = CallRecord {
        id: reservation.id,
        usage: TokenUsage {
            input_tokens: 1_000,
            cache_creation_tokens: 500,
            cache_read_tokens: 3_000,
            output_tokens: 200,
        },
        cost: Cost::from_nanos(12_300_000),
        response: Some(json!({"content": []})),
        stop_reason: "end_turn".to_owned(),
        duration_ms: 800,
    };
    jobs.settle_call(lease, &record).await.expect("settle");
}

pub(crate) fn result(outcome: Outcome, diff: &[u8]) -> JobResult {
    let path = RepoPath::parse(".github/workflows/ci.yml").expect("valid");
    let file =
        FileChange { path: path.clone(), old_path: None, kind: FileChangeKind::Modified, additions: 3, deletions: 1 };
    let flag = Flag { kind: FlagKind::Ci, path, line: None, note: "continuous integration runs this file".to_owned() };
    let is_changed = outcome == Outcome::Changed;
    JobResult {
        outcome,
        diff: diff.to_vec(),
        receipt: Receipt {
            base_commit: CommitId::parse(&"a".repeat(40)).expect("valid"),
            base_tree: "b".repeat(40),
            result_tree: "c".repeat(40),
            patch_sha256: "d".repeat(64),
        },
        files: if is_changed { vec![file] } else { Vec::new() },
        summary: "Says hello.".to_owned(),
        suggested_commit_message: "Say hello".to_owned(),
        flags: if is_changed { vec![flag] } else { Vec::new() },
        verified: true,
    }
}
