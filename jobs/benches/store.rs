//! What the store costs: a stored stage, and a job without work from submission to its end.
//!
//! `cargo bench -p jobs` measures on SQLite; with `TINYGEN_TEST_POSTGRES_URL` set also on Postgres, in a schema that is
//! dropped afterwards. SQLite files are made in the current folder: a temporary one may be in memory.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::time::{Duration, Instant};

use chrono::Utc;
use domain::{CommitId, JobResult, JobSpec, Outcome, Receipt, RepoUrl, StageKey, StageKind, StageRecord};
use jobs::{ClaimedJob, Jobs, WorkerId};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const ROUNDS: usize = 5;
const STAGES: usize = 200;
const JOBS: usize = 200;
const WORKERS: usize = 8;
/// A plan or a set of edits; a sheet may be a hundred times as large.
const SMALL_OUTPUT_BYTES: usize = 10 << 10;
const LARGE_OUTPUT_BYTES: usize = 1 << 20;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let file = folder.path().join("jobs.db");
    measure("SQLite", &Jobs::open(&format!("sqlite:{}", file.display())).await.unwrap()).await;

    let Ok(server) = std::env::var("TINYGEN_TEST_POSTGRES_URL") else { return };
    let schema = format!("bench_{}", std::process::id());
    let mut admin = PgConnection::connect(&server).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&mut admin).await.unwrap();
    measure("Postgres", &Jobs::open(&format!("{server}?options[search_path]={schema}")).await.unwrap()).await;
    sqlx::query(AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"))).execute(&mut admin).await.unwrap();
}

async fn measure(database: &str, jobs: &Jobs) {
    jobs.migrate().await.unwrap();
    let small = stages(jobs, SMALL_OUTPUT_BYTES).await;
    let large = stages(jobs, LARGE_OUTPUT_BYTES).await;
    let mut alone = Vec::new();
    let mut together = Vec::new();
    for _ in 0..ROUNDS {
        alone.push(jobs_per_second(jobs, 1).await);
        together.push(jobs_per_second(jobs, WORKERS).await);
    }
    println!("{database}: a stage of 10 kB started and stored in {small:.2?}, one of 1 MB in {large:.2?} (median)");
    println!("{database}: {:.0} jobs/s from submission to end, one after the other", median(alone));
    println!("{database}: {:.0} jobs/s from submission to end, {WORKERS} at a time", median(together));
}

/// The median time to note a stage's start and to store its output.
async fn stages(jobs: &Jobs, output_bytes: usize) -> Duration {
    jobs.submit(spec()).await.unwrap();
    let lease = jobs.claim(&WorkerId::new("bench")).await.unwrap().unwrap().lease;
    let output: Value = json!({ "text": "x".repeat(output_bytes) });
    let mut times = Vec::new();
    for number in 0..STAGES {
        let key = StageKey { kind: StageKind::Edit, item: number.to_string() };
        let (started_at, finished_at) = (Utc::now(), Utc::now());
        let record = StageRecord { key, output: output.clone(), started_at, finished_at };
        let start = Instant::now();
        jobs.start_stage(&lease, &record.key).await.unwrap();
        jobs.save_stage(&lease, &record).await.unwrap();
        times.push(start.elapsed());
    }
    jobs.succeed(&lease, &result()).await.unwrap();
    times.sort_unstable();
    times[times.len() / 2]
}

async fn jobs_per_second(jobs: &Jobs, workers: usize) -> f64 {
    let start = Instant::now();
    let workers: Vec<_> = (0..workers)
        .map(|_| {
            let jobs = jobs.clone();
            tokio::spawn(async move {
                for _ in 0..JOBS / workers {
                    jobs.submit(spec()).await.unwrap();
                    let claimed = claim(&jobs).await;
                    jobs.succeed(&claimed.lease, &result()).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    f64::from(u32::try_from(JOBS).unwrap()) / start.elapsed().as_secs_f64()
}

/// Claims a job, though perhaps not the one submitted just before: while others hold that one's lock there may be nothing
/// to see for a moment.
async fn claim(jobs: &Jobs) -> ClaimedJob {
    loop {
        if let Some(claimed) = jobs.claim(&WorkerId::new("bench")).await.unwrap() {
            return claimed;
        }
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn spec() -> JobSpec {
    JobSpec::new(RepoUrl::parse("https://example.com/a/b.git").unwrap(), "add a flag")
}

fn result() -> JobResult {
    JobResult {
        outcome: Outcome::Changed,
        diff: vec![b'+'; 4 << 10],
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
