//! What the benches share: databases in both modes, processes looked at from outside, figures and tables.
//!
//! `make bench` runs them beside a private Postgres and Redis; without these only what needs neither is measured. SQLite
//! files are made in the current folder: a temporary one may be in memory.

use std::time::Duration;

use domain::{CommitId, JobId, JobResult, JobSpec, Outcome, Receipt, RepoUrl};
use jobs::{EventKind, Job, Jobs};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

pub(crate) mod process;

/// Set by `scripts/services`.
const POSTGRES_URL: &str = "TINYGEN_TEST_POSTGRES_URL";
const REDIS_URL: &str = "TINYGEN_TEST_REDIS_URL";
/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_mins(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// An empty, migrated database of one of the two ways to run.
pub(crate) struct Database {
    /// What the table calls it.
    pub(crate) mode: &'static str,
    /// `DATABASE_URL` and, in scale-out, `REDIS_URL`.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// The store, with its own connections.
    pub(crate) jobs: Jobs,
    postgres: Option<(String, String)>,
    _folder: TempDir,
}

impl Database {
    /// SQLite, in process.
    pub(crate) async fn embedded() -> Self {
        let folder = tempfile::tempdir_in(".").expect("a folder");
        let path = folder.path().canonicalize().expect("it is there").join("jobs.db");
        let url = format!("sqlite:{}", path.display());
        let jobs = Jobs::open(&url).await.expect("SQLite opens");
        jobs.migrate().await.expect("migrated");
        Self { mode: "embedded", variables: vec![("DATABASE_URL", url)], jobs, postgres: None, _folder: folder }
    }

    /// Postgres and Redis, when there are any.
    pub(crate) async fn scale_out() -> Option<Self> {
        let (Ok(server), Ok(redis)) = (std::env::var(POSTGRES_URL), std::env::var(REDIS_URL)) else {
            eprintln!("not measured: {POSTGRES_URL} or {REDIS_URL} is not set");
            return None;
        };
        let schema = format!("bench_{}", Uuid::now_v7().simple());
        run_sql(&server, format!("CREATE SCHEMA {schema}")).await;
        let separator = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{separator}options[search_path]={schema}");
        let jobs = Jobs::open(&url).await.expect("Postgres answers");
        let jobs = jobs.with_redis(&redis).expect("an address");
        jobs.migrate().await.expect("migrated");
        let folder = tempfile::tempdir_in(".").expect("a folder");
        let variables = vec![("DATABASE_URL", url), ("REDIS_URL", redis)];
        Some(Self { mode: "Postgres + Redis", variables, jobs, postgres: Some((server, schema)), _folder: folder })
    }

    /// Both, as far as they are there.
    pub(crate) async fn all() -> Vec<Self> {
        [Some(Self::embedded().await), Self::scale_out().await].into_iter().flatten().collect()
    }

    /// Removes what it left behind.
    pub(crate) async fn remove(self) {
        if let Some((server, schema)) = self.postgres {
            run_sql(&server, format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }

    /// Waits until the job has ended, and gives it. Looks seldom: looking is work for the database too.
    pub(crate) async fn wait(&self, id: JobId) -> Job {
        let ended = async {
            loop {
                let job = self.jobs.get(id).await.expect("an answer").expect("the job");
                if job.status.is_terminal() {
                    return job;
                }
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(PATIENCE, ended).await.expect("the job ends")
    }

    /// The time between the first events of two kinds, by the database's clock.
    pub(crate) async fn between(&self, id: JobId, from: EventKind, to: EventKind) -> Duration {
        let events = self.jobs.events(id, 0).await.expect("an answer");
        let at = |kind| events.iter().find(|event| event.kind == kind).expect("the event").at;
        (at(to) - at(from)).to_std().expect("in this order")
    }
}

async fn run_sql(server: &str, sql: String) {
    let mut connection = PgConnection::connect(server).await.expect("Postgres answers");
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.expect("it may");
}

/// A job that asks for nothing in particular.
pub(crate) fn spec() -> JobSpec {
    spec_for("https://example.com/a/b.git")
}

/// A job on this repository.
pub(crate) fn spec_for(repo_url: &str) -> JobSpec {
    JobSpec::new(RepoUrl::parse(repo_url).expect("a URL"), "It says Helo. Make it say Hello.")
}

/// What such a job makes.
pub(crate) fn result() -> JobResult {
    JobResult {
        outcome: Outcome::Changed,
        diff: vec![b'+'; 4 << 10],
        receipt: Receipt {
            base_commit: CommitId::parse(&"a".repeat(40)).expect("an id"),
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

/// The value that so many of a hundred are not above.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// For reading.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}

/// Prints a table in Markdown, under the machine's load: a figure from a busy machine is none.
pub(crate) fn print_table(title: &str, header: &[&str], rows: &[Vec<String>]) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let build = if cfg!(debug_assertions) { ", debug build" } else { "" };
    println!("\n{title} (load {}{build})\n", load.split(' ').next().unwrap_or_default());
    println!("| {} |", header.join(" | "));
    println!("|{}", "---|".repeat(header.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}
