//! A database of one of the two ways to run.
//!
//! SQLite files are made in the target folder: a temporary one may be in memory.

use std::time::Duration;

use domain::JobId;
use jobs::{EventKind, Job, Jobs};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// Set by `scripts/services`.
const POSTGRES_URL: &str = "TINYGEN_TEST_POSTGRES_URL";
const REDIS_URL: &str = "TINYGEN_TEST_REDIS_URL";
/// On the disk, and nobody takes it for a part of the sources.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");
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
        let folder = tempfile::tempdir_in(FOLDER).expect("a folder");
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
        let folder = tempfile::tempdir_in(FOLDER).expect("a folder");
        let variables = vec![("DATABASE_URL", url), ("REDIS_URL", redis)];
        Some(Self { mode: "Postgres + Redis", variables, jobs, postgres: Some((server, schema)), _folder: folder })
    }

    /// Both, as far as they are there.
    pub(crate) async fn all() -> Vec<Self> {
        [Some(Self::embedded().await), Self::scale_out().await].into_iter().flatten().collect()
    }

    /// Whether it is the one of `tinygen serve`.
    pub(crate) fn is_embedded(&self) -> bool {
        self.postgres.is_none()
    }

    /// `DATABASE_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.variables[0].1
    }

    /// `REDIS_URL`, in scale-out.
    pub(crate) fn redis_url(&self) -> Option<&str> {
        self.variables.get(1).map(|(_, url)| url.as_str())
    }

    /// Counts by one statement.
    pub(crate) async fn count(&self, sql: &'static str) -> usize {
        let count: i64 = if self.is_embedded() {
            let mut connection = SqliteConnection::connect(self.url()).await.expect("SQLite opens");
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("a count")
        } else {
            let mut connection = PgConnection::connect(self.url()).await.expect("Postgres answers");
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("a count")
        };
        usize::try_from(count).expect("a count")
    }

    /// Removes all jobs that wait for a worker.
    pub(crate) async fn remove_waiting(&self) {
        const SQL: [&str; 2] = [
            "DELETE FROM job_events WHERE job_id IN (SELECT id FROM jobs WHERE status = 'queued')",
            "DELETE FROM jobs WHERE status = 'queued'",
        ];
        if self.is_embedded() {
            let mut connection = SqliteConnection::connect(self.url()).await.expect("SQLite opens");
            for sql in SQL.into_iter().chain(["PRAGMA wal_checkpoint(TRUNCATE)"]) {
                sqlx::query(sql).execute(&mut connection).await.expect("it may");
            }
        } else {
            let mut connection = PgConnection::connect(self.url()).await.expect("Postgres answers");
            for sql in SQL.into_iter().chain(["VACUUM jobs", "VACUUM job_events"]) {
                sqlx::query(sql).execute(&mut connection).await.expect("it may");
            }
        }
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
                // What is measured may keep the database from answering for a while.
                if let Ok(job) = self.jobs.get(id).await {
                    let job = job.expect("the job");
                    if job.status.is_terminal() {
                        return job;
                    }
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
