//! Postgres, behind a network that may fall silent.
//!
//! A connection that has died without a word looks like one whose answer takes long, and the kernel waits for it for a
//! quarter of an hour. So nothing here is waited for without end, and a connection that says nothing is not used again.

use std::io;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{
    Connection, Describe, Either, Error, Execute, Executor, PgConnection, PgPool, Postgres, Row, SqlStr, raw_sql,
};
use tokio::time::timeout;

/// Longest time for a new or free connection: who asks over HTTP should soon hear that Postgres is away.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest time for an answer to a statement: more than the locks of a process that has fallen silent last, less than most
/// clients wait for theirs. Whether the statement was carried out is not known then.
const ANSWER: Duration = Duration::from_secs(15);
/// Longest time for a connection that has nothing to do to say that it lives, before it is used and after.
const PING: Duration = Duration::from_secs(1);
/// How long a connection that said that it lives is taken at its word: to ask costs as much as a statement.
const FRESH: Duration = Duration::from_secs(1);

/// Opens a transaction and reads the clock, in µs since 1970: one trip to Postgres, where the driver's own transaction
/// and a statement would take two.
const BEGIN: &str = "BEGIN; SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)";

/// Where statements run that stand alone.
#[derive(Debug, Clone)]
pub(crate) struct Connections(PgPool);

/// Where statements run that belong together. Dropped without a commit, it rolls back.
#[derive(Debug)]
pub(crate) struct PgTx {
    /// Until the transaction is over.
    connection: Option<PoolConnection<Postgres>>,
}

impl Connections {
    /// Connects when first used.
    pub(super) fn new(options: PgConnectOptions, max_connections: u32) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(CONNECT)
            // In place of sqlx's own test, which would use up all the time there is for a connection.
            .test_before_acquire(false)
            .before_acquire(|connection, so_far| {
                let is_fresh = so_far.idle_for < FRESH;
                async move { Ok(is_fresh || lives(connection).await) }.boxed()
            })
            // Before sqlx's own test, which waits without end and keeps the place of the connection meanwhile.
            .after_release(|connection, _| lives(connection).map(Ok).boxed());
        Self(pool.connect_lazy_with(options))
    }

    /// Opens a transaction, and reads the database's clock.
    pub(super) async fn begin(&self) -> Result<(Box<PgTx>, DateTime<Utc>), Error> {
        let mut tx = Box::new(PgTx { connection: Some(self.0.acquire().await?) });
        let micros: i64 = raw_sql(BEGIN).fetch_one(&mut *tx).await?.try_get(0)?;
        let now = DateTime::from_timestamp_micros(micros).ok_or_else(|| Error::Decode("no time".into()))?;
        Ok((tx, now))
    }

    /// For what may take as long as it needs.
    pub(super) fn unbounded(&self) -> &PgPool {
        self.within()
    }

    fn within(&self) -> &PgPool {
        &self.0
    }
}

impl PgTx {
    pub(super) async fn commit(self) -> Result<(), Error> {
        self.end("COMMIT").await
    }

    pub(super) async fn rollback(self) -> Result<(), Error> {
        self.end("ROLLBACK").await
    }

    /// The connection is free again only when the end has been confirmed.
    async fn end(mut self, how: &'static str) -> Result<(), Error> {
        raw_sql(how).execute(&mut self).await?;
        drop(self.connection.take());
        Ok(())
    }

    fn within(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("the transaction goes on")
    }
}

impl Drop for PgTx {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        tokio::spawn(async move {
            let is_over = matches!(timeout(PING, connection.execute(raw_sql("ROLLBACK"))).await, Ok(Ok(_)));
            if !is_over {
                connection.close_on_drop();
            }
        });
    }
}

async fn lives(connection: &mut PgConnection) -> bool {
    matches!(timeout(PING, connection.ping()).await, Ok(Ok(())))
}

/// What Postgres says, if it does in time. The future is a small one: it becomes part of all that ask the store.
async fn answered<T, A: Future<Output = Result<T, Error>> + Unpin>(answer: A) -> Result<T, Error> {
    let late = |late| Error::Io(io::Error::new(io::ErrorKind::TimedOut, late));
    timeout(ANSWER, answer).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
}

type Step = Either<PgQueryResult, PgRow>;

/// Runs statements through what is within, and waits for each no longer than [`ANSWER`].
macro_rules! run_in_time {
    ($executor:ty) => {
        impl<'c> Executor<'c> for $executor {
            type Database = Postgres;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Postgres>,
            {
                as_stream(answered(self.within().fetch_many(query).try_collect()))
            }

            fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Postgres>,
            {
                answered(self.within().fetch_optional(query)).boxed()
            }

            fn prepare_with<'e>(self, sql: SqlStr, types: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, Error>>
            where
                'c: 'e,
            {
                answered(self.within().prepare_with(sql, types)).boxed()
            }

            fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
            where
                'c: 'e,
            {
                answered(self.within().describe(sql)).boxed()
            }
        }
    };
}
run_in_time!(&'c Connections);
run_in_time!(&'c mut PgTx);

/// The time is for all steps together: nobody here reads them one by one.
fn as_stream<'e>(
    steps: impl Future<Output = Result<Vec<Step>, Error>> + Send + 'e,
) -> BoxStream<'e, Result<Step, Error>> {
    steps.map_ok(|steps| stream::iter(steps).map(Ok)).try_flatten_stream().boxed()
}
