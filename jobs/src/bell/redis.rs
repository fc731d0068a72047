//! A bell between processes: one short list in Redis, pushed to by a ring and popped from by a waiting worker.
//!
//! Redis may be stopped, emptied, replaced or locked at any time. One rule covers all of it: a connection that gave any
//! error is dropped, and the next use makes a new one.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::time::{error::Elapsed, sleep, timeout};
use tracing::{info, warn};

use super::local::LocalBell;

/// The list for workers. It holds ids of jobs, for people who look; nobody reads them.
const LIST: &str = "tinygen:bell";
/// Rings that are kept when nobody hears them, the newest: a list stays within some 50 kB.
const MOST_RINGS: isize = 1024;
/// Longest that a ring may hold its caller up, a new connection included.
const RING_TIMEOUT: Duration = Duration::from_millis(500);
/// Longest that a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How much longer than asked Redis may take to say that nobody rang.
const GRACE: Duration = Duration::from_secs(2);
/// How long a wait lasts at least, and at most, when Redis is away: workers then look for jobs at this pace.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// Longest that a look at Redis may take.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// Redis takes a wait of 0 seconds for an endless one.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

#[derive(Clone)]
pub(crate) struct RedisBell {
    list: &'static str,
    /// Rung in place of a Redis that is away: the sweep of each process then still calls its own workers.
    nearby: LocalBell,
    line: Arc<Line>,
}

/// What all bells in one Redis share.
struct Line {
    client: Client,
    /// For ringing: shared, its commands never block.
    ringing: Mutex<Option<MultiplexedConnection>>,
    /// For waiting, while nobody waits: a command that blocks keeps a connection to itself.
    waiting: Mutex<Vec<MultiplexedConnection>>,
    /// Only for the log, which tells of changes.
    is_away: AtomicBool,
}

impl RedisBell {
    pub(super) fn new(url: &str) -> RedisResult<Self> {
        let client = Client::open(url)?;
        let line =
            Line { client, ringing: Mutex::default(), waiting: Mutex::default(), is_away: AtomicBool::new(false) };
        Ok(Self { list: LIST, nearby: LocalBell::default(), line: Arc::new(line) })
    }

    /// Another bell in the same Redis.
    pub(super) fn with_list(&self, list: &'static str) -> Self {
        Self { list, nearby: LocalBell::default(), line: self.line.clone() }
    }

    /// Rings once for each of these.
    pub(super) async fn ring(&self, what: &[impl ToString]) {
        if what.is_empty() {
            return;
        }
        let outcome = flatten(timeout(RING_TIMEOUT, self.push(what)).await);
        self.note(outcome.as_ref().err());
        if outcome.is_err() {
            *lock(&self.line.ringing) = None;
            self.nearby.ring(what.len());
        }
    }

    /// Gives whether there was a ring.
    pub(super) async fn wait(&self, idle: Duration) -> bool {
        let outcome = tokio::select! {
            outcome = timeout(idle + GRACE, self.pop(idle)) => flatten(outcome),
            is_rung = self.nearby.wait(idle + 2 * GRACE) => return is_rung,
        };
        self.note(outcome.as_ref().err());
        if outcome.is_err() {
            sleep(PAUSE_AFTER_ERROR.min(idle)).await;
        }
        outcome.unwrap_or(false)
    }

    /// Whether Redis answers.
    pub(super) async fn answers(&self) -> bool {
        let ping = async {
            let mut connection = self.connection().await?;
            let () = redis::cmd("PING").query_async(&mut connection).await?;
            *lock(&self.line.ringing) = Some(connection);
            Ok(())
        };
        let outcome = flatten(timeout(PING_TIMEOUT, ping).await);
        self.note(outcome.as_ref().err());
        if outcome.is_err() {
            *lock(&self.line.ringing) = None;
        }
        outcome.is_ok()
    }

    async fn push(&self, what: &[impl ToString]) -> RedisResult<()> {
        let entries: Vec<String> = what.iter().map(ToString::to_string).collect();
        let mut connection = self.connection().await?;
        let mut pipeline = redis::pipe();
        pipeline.cmd("RPUSH").arg(self.list).arg(entries).ignore();
        pipeline.cmd("LTRIM").arg(self.list).arg(-MOST_RINGS).arg(-1).ignore();
        let () = pipeline.query_async(&mut connection).await?;
        *lock(&self.line.ringing) = Some(connection);
        Ok(())
    }

    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let open = lock(&self.line.ringing).clone();
        match open {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
    }

    /// The connection comes back only from a wait that ended well; one that is cut short drops it.
    async fn pop(&self, idle: Duration) -> RedisResult<bool> {
        let open = lock(&self.line.waiting).pop();
        let mut connection = match open {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let seconds = idle.max(SHORTEST_WAIT).as_secs_f64();
        let rung: Option<(String, String)> =
            redis::cmd("BLPOP").arg(self.list).arg(seconds).query_async(&mut connection).await?;
        lock(&self.line.waiting).push(connection);
        Ok(rung.is_some())
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        // The client's own limit on answers would end each wait; every use has a limit of its own.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT)).set_response_timeout(None);
        self.line.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Logs when Redis goes and when it comes back, not every try in between.
    fn note(&self, error: Option<&RedisError>) {
        let was_away = self.line.is_away.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !was_away => {
                warn!(error = error as &dyn Error, "Redis does not answer; workers look for jobs without being called");
            }
            None if was_away => info!("Redis answers again"),
            _ => {}
        }
    }
}

/// Never shows the address, which may hold a password.
impl fmt::Debug for RedisBell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBell").finish_non_exhaustive()
    }
}

fn flatten<T>(outcome: Result<RedisResult<T>, Elapsed>) -> RedisResult<T> {
    outcome.unwrap_or_else(|late| Err(std::io::Error::new(std::io::ErrorKind::TimedOut, late).into()))
}

/// What is in it is whole whatever happens: it is put in or taken out in one step.
fn lock<T>(connections: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}
