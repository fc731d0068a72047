//! What the store costs: a stored stage, a job without work from submission to its end, and a claim before few and many
//! waiting jobs, also when most of them have to wait for their owner's running jobs.
//!
//! `cargo bench -p jobs` measures on SQLite; with `TINYGEN_TEST_POSTGRES_URL` set also on Postgres, in a schema that is
//! dropped afterwards. SQLite files are made in the current folder: a temporary one may be in memory.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::time::{Duration, Instant};

use domain::{CommitId, JobResult, JobSpec, Outcome, Receipt, RepoUrl, StageKey, StageKind, StageRecord};
use jobs::{ClaimedJob, Jobs, Policy, WorkerId};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

const ROUNDS: usize = 5;
const STAGES: usize = 200;
const JOBS: usize = 200;
const WORKERS: usize = 8;
const COUNTS: usize = 20;
/// Waiting jobs before which claims are timed.
const WAITING: [usize; 3] = [10, 1_000, 100_000];
/// Waiting jobs of one owner who may run no more of them, all of them before the others.
const PASSED_OVER: usize = 10_000;
/// A plan or a set of edits; a sheet may be a hundred times as large.
const SMALL_OUTPUT_BYTES: usize = 10 << 10;
const LARGE_OUTPUT_BYTES: usize = 1 << 20;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let file = folder.path().join("jobs.db");
    measure("SQLite", &format!("sqlite:{}", file.display())).await;

    let Ok(server) = std::env::var("TINYGEN_TEST_POSTGRES_URL") else { return };
    let schema = format!("bench_{}", std::process::id());
    let mut admin = PgConnection::connect(&server).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&mut admin).await.unwrap();
    measure("Postgres", &format!("{server}?options[search_path]={schema}")).await;
    sqlx::query(AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"))).execute(&mut admin).await.unwrap();
}

async fn measure(database: &str, url: &str) {
    let policy = Policy { max_waiting_jobs: u64::MAX, ..Policy::default() };
    let jobs = &Jobs::open(url).await.unwrap().with_policy(policy);
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
    let mut waiting = 0;
    for goal in WAITING {
        fill(url, goal - waiting).await;
        waiting = goal;
        let claim = claims(jobs, goal.min(STAGES)).await;
        println!("{database}: a claim before {goal} waiting jobs in {claim:.2?} (median)");
        let count = counts(jobs).await;
        println!("{database}: {goal} waiting jobs counted in {count:.2?} (median)");
    }
    let submission = submissions(jobs).await;
    println!("{database}: a submission after {waiting} waiting jobs in {submission:.2?} (median)");
    fill_to_the_limit(url, PASSED_OVER).await;
    jobs.claim(&WorkerId::new("bench")).await.unwrap().unwrap();
    let (claim, submission) = (claims(jobs, STAGES).await, submissions(jobs).await);
    println!(
        "{database}: a claim past {PASSED_OVER} jobs without room in {claim:.2?}, a submission in {submission:.2?} (median)"
    );
}

/// The median time to note a stage's start and to store its output.
async fn stages(jobs: &Jobs, output_bytes: usize) -> Duration {
    jobs.submit(spec()).await.unwrap();
    let lease = jobs.claim(&WorkerId::new("bench")).await.unwrap().unwrap().lease;
    let output: Value = json!({ "text": "x".repeat(output_bytes) });
    let mut times = Vec::new();
    for number in 0..STAGES {
        let key = StageKey { kind: StageKind::Edit, item: number.to_string() };
        let record = StageRecord { key, output: output.clone() };
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

/// Adds waiting jobs of every priority, half of them one owner's and the others of many. By one statement: what is measured
/// is the claim.
async fn fill(url: &str, count: usize) {
    let statement = |uuid: &str| {
        AssertSqlSafe(format!(
            "WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {count}),
                 sample AS (SELECT * FROM jobs ORDER BY id LIMIT 1)
             INSERT INTO jobs (id, spec, status, attempt, max_attempts, rescues, lease_epoch, version, input_tokens,
                               cache_creation_tokens, cache_read_tokens, output_tokens, cost_nanos, created_at,
                               owner, priority, rank, turn)
             SELECT {uuid}, spec, 'queued', 0, 3, 0, 0, 1, 0, 0, 0, 0, 0, created_at,
                    CASE i % 2 WHEN 0 THEN 'many' ELSE 'owner-' || (i / 2 % 100) END, 'normal',
                    i - (i % 3) * 1000, CASE i % 2 WHEN 0 THEN i / 2 ELSE i / 200 END
             FROM numbers, sample"
        ))
    };
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sqlx::query(statement("randomblob(16)")).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query(statement("gen_random_uuid()")).execute(&mut connection).await.unwrap();
        sqlx::query("ANALYZE jobs").execute(&mut connection).await.unwrap();
    }
}

/// The median time to count the queue.
async fn counts(jobs: &Jobs) -> Duration {
    let mut times = Vec::new();
    for _ in 0..COUNTS {
        let start = Instant::now();
        jobs.queue_stats().await.unwrap();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// Turns waiting jobs into those of an owner who may run one at a time, and puts them before all others.
async fn fill_to_the_limit(url: &str, count: usize) {
    let statement = AssertSqlSafe(format!(
        "UPDATE jobs SET owner = 'full', max_running = 1, turn = turn - 1000000
         WHERE id IN (SELECT id FROM jobs WHERE status = 'queued' AND owner = 'many' ORDER BY turn LIMIT {count})"
    ));
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        sqlx::query("VACUUM ANALYZE jobs").execute(&mut connection).await.unwrap();
    }
}

/// The median time of a submission.
async fn submissions(jobs: &Jobs) -> Duration {
    let mut times = Vec::new();
    for _ in 0..STAGES {
        let start = Instant::now();
        jobs.submit(spec()).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// The median time of a claim; what is claimed waits again afterwards.
async fn claims(jobs: &Jobs, count: usize) -> Duration {
    let mut times = Vec::new();
    let mut leases = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        let claimed = jobs.claim(&WorkerId::new("bench")).await.unwrap().unwrap();
        times.push(start.elapsed());
        leases.push(claimed.lease);
    }
    for lease in leases {
        jobs.release(&lease).await.unwrap();
    }
    times.sort_unstable();
    times[times.len() / 2]
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
