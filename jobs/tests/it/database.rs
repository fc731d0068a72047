//! A fresh, migrated database per test: a SQLite file, or a Postgres schema that is dropped afterwards.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt;
use jobs::{Jobs, Policy};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// Names a Postgres server to test on, such as `postgres://postgres@127.0.0.1:5432/test`.
const POSTGRES_URL: &str = "TINYGEN_TEST_POSTGRES_URL";

/// A database of one test.
pub(crate) struct Database {
    url: String,
    /// The store, opened under the default rules.
    pub(crate) jobs: Jobs,
}

impl Database {
    async fn new(url: String) -> Self {
        let jobs = Jobs::open(&url).await.unwrap();
        jobs.migrate().await.unwrap();
        Self { url, jobs }
    }

    /// Opens the same database once more, as another process would.
    pub(crate) async fn reopen(&self) -> Jobs {
        Jobs::open(&self.url).await.unwrap()
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Everything that stands in any table, as bytes one after the other; of SQLite, the files themselves.
    pub(crate) async fn raw_bytes(&self) -> Vec<u8> {
        match self.url.strip_prefix("sqlite:") {
            Some(file) => {
                ["", "-wal"].iter().flat_map(|end| std::fs::read(format!("{file}{end}")).unwrap_or_default()).collect()
            }
            None => raw_tables(&self.url).await,
        }
    }

    /// The store under the rule that a lease has run out as soon as it is given.
    pub(crate) fn where_leases_expire_at_once(&self) -> Jobs {
        self.jobs.clone().with_policy(Policy { lease: std::time::Duration::ZERO, ..Policy::default() })
    }
}

/// Runs a test on a SQLite file.
pub(crate) async fn on_sqlite(test: impl AsyncFnOnce(&Database)) {
    on_empty_sqlite(async |url| test(&Database::new(url).await).await).await;
}

/// Runs a test in a schema of its own on the Postgres server that the environment names, if it names one.
pub(crate) async fn on_postgres(test: impl AsyncFnOnce(&Database)) {
    on_empty_postgres(async |url| test(&Database::new(url).await).await).await;
}

/// Runs a test on the address of a SQLite file that is not there yet.
pub(crate) async fn on_empty_sqlite(test: impl AsyncFnOnce(String)) {
    let folder = tempfile::tempdir().unwrap();
    test(format!("sqlite:{}", folder.path().join("jobs.db").display())).await;
}

/// Runs a test on the address of an empty Postgres schema.
pub(crate) async fn on_empty_postgres(test: impl AsyncFnOnce(String)) {
    let Ok(server) = std::env::var(POSTGRES_URL) else {
        eprintln!("not run: {POSTGRES_URL} is not set");
        return;
    };
    let schema = format!("test_{}", Uuid::now_v7().simple());
    let mut admin = PgConnection::connect(&server).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&mut admin).await.unwrap();
    let separator = if server.contains('?') { '&' } else { '?' };
    let outcome = test(format!("{server}{separator}options[search_path]={schema}"));
    let outcome = AssertUnwindSafe(outcome).catch_unwind().await;
    sqlx::query(AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"))).execute(&mut admin).await.unwrap();
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// Every row of every table of the schema, as Postgres writes them.
async fn raw_tables(url: &str) -> Vec<u8> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar("SELECT tablename FROM pg_tables WHERE schemaname = CURRENT_SCHEMA()")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert!(tables.len() >= 5, "{tables:?}");
    let mut bytes = Vec::new();
    for table in tables {
        let rows = format!("SELECT {table}::text FROM {table}");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&mut connection).await.unwrap();
        bytes.extend(rows.concat().into_bytes());
    }
    let diffs: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT diff FROM jobs WHERE diff IS NOT NULL").fetch_all(&mut connection).await.unwrap();
    // The rows above have these in hexadecimal.
    bytes.extend(diffs.concat());
    bytes
}

/// Makes a test of each function, once per database.
macro_rules! on_every_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                crate::database::on_sqlite(super::$test).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                crate::database::on_postgres(super::$test).await;
            })+
        }
    };
}
pub(crate) use on_every_database;
