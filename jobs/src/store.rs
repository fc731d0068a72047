//! The only place with SQL: one text of it over two databases.
//!
//! [`On`] is a value for one database or the other, and the `on!` macro runs the same lines on whichever it is. Every
//! time comes from [`Store::begin`], which asks the database's clock, and is bound; so the workers' clocks don't matter
//! and `now()`, which SQLite does not have, appears nowhere else. The other differences are pairs of constants:
//! `SKIP LOCKED` in `store/claim.rs`, and in `store/job.rs` two changes in one statement.

mod call;
mod cancel;
mod claim;
mod contact;
mod ended;
mod event;
mod expire;
mod finish;
mod heartbeat;
mod idempotency;
mod job;
mod key;
mod list;
mod migrate;
mod postgres;
mod purge;
mod quota;
mod retry;
mod rows;
mod running;
mod stage;
mod stats;
mod sweep;
mod trace;
mod webhook;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::bell::{Bell, CourierBell};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::lease::{Lease, Policy};
use crate::store::contact::Contact;

use self::postgres::{Connections, PgTx};
use self::quota::Backlog;

/// Something of one database or of the other.
#[derive(Debug, Clone)]
pub(crate) enum On<P, S> {
    Postgres(P),
    Sqlite(S),
}

/// Where statements run that stand alone.
pub(crate) type Db = On<Connections, SqlitePool>;

/// Where statements run that belong together. Dropped without a commit, it rolls back.
pub(crate) type Tx = On<Box<PgTx>, Transaction<'static, Sqlite>>;

/// Runs the same lines on whichever database it is: `on!(db, pool => …)`.
macro_rules! on {
    ($side:expr, $it:ident => $lines:expr) => {
        match $side {
            $crate::store::On::Postgres($it) => $lines,
            $crate::store::On::Sqlite($it) => $lines,
        }
    };
}
use on;

/// Connections that read at the same time, and on Postgres write.
const MAX_CONNECTIONS: u32 = 8;
/// Postgres ends a transaction whose process says nothing more, of a stopped machine say: its locks would keep other
/// workers from its jobs, for hours when no word comes from the network either. Below a lease, above any pause of ours.
const SILENT_TRANSACTION: (&str, &str) = ("idle_in_transaction_session_timeout", "10s");
/// How long to wait on SQLite for a connection, or for another process' transaction.
const PATIENCE: Duration = Duration::from_secs(10);

/// The tables, wherever they are.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// Shared: clones are made for each request.
    options: Arc<On<PgConnectOptions, SqliteConnectOptions>>,
    read: Db,
    write: Db,
    contact: Contact,
    backlog: Backlog,
    pub(crate) couriers: CourierBell,
}

impl Store {
    /// Connects; on SQLite makes the file when there is none.
    pub(crate) async fn open(database_url: &str) -> Result<Self, StoreError> {
        let scheme = database_url.split(':').next().unwrap_or_default();
        let bad_address = |source| StoreError::Address { scheme: scheme.to_owned(), source };
        let options = match scheme {
            "postgres" | "postgresql" => {
                let options = PgConnectOptions::from_str(database_url).map_err(|e| bad_address(Some(e)))?;
                On::Postgres(options.options([SILENT_TRANSACTION]))
            }
            "sqlite" => {
                let options = SqliteConnectOptions::from_str(database_url).map_err(|e| bad_address(Some(e)))?;
                On::Sqlite(with_durability(options))
            }
            _ => return Err(bad_address(None)),
        };
        let store = Self::connect(Arc::new(options), MAX_CONNECTIONS);
        // The first connection makes the file and switches it to WAL, before anything opens it for reading.
        store.begin().await?;
        Ok(store)
    }

    /// The same tables over one connection of its own, which belongs to the runtime this is called on: a connection is
    /// served by the reactor it was opened on, and that one may be starved by blocking work.
    pub(crate) fn on_own_connection(&self) -> Self {
        Self { couriers: self.couriers.clone(), ..Self::connect(self.options.clone(), 1) }
    }

    /// The same tables, with couriers of other processes within reach if this bell reaches them.
    pub(crate) fn with_couriers_beside(self, bell: &Bell) -> Self {
        Self { couriers: self.couriers.clone().beside(bell), ..self }
    }

    /// Sets the pools up; they connect when first used.
    fn connect(options: Arc<On<PgConnectOptions, SqliteConnectOptions>>, max_connections: u32) -> Self {
        let contact = Contact::default();
        let backlog = Backlog::default();
        let couriers = CourierBell::default();
        match &*options {
            On::Postgres(postgres) => {
                let pool = Connections::new(postgres.clone(), max_connections);
                Self {
                    options,
                    read: On::Postgres(pool.clone()),
                    write: On::Postgres(pool),
                    contact,
                    backlog,
                    couriers,
                }
            }
            On::Sqlite(sqlite) => {
                // SQLite lets one transaction write at a time: one connection, and the queue before it is ours.
                // A file is never away: no connection is asked whether it lives.
                let pool = SqlitePoolOptions::new().acquire_timeout(PATIENCE).test_before_acquire(false);
                let write = pool.clone().max_connections(1);
                let write = write.connect_lazy_with(sqlite.clone().journal_mode(SqliteJournalMode::Wal));
                let read = pool.max_connections(max_connections);
                let read = read.connect_lazy_with(sqlite.clone().create_if_missing(false).read_only(true));
                Self { options, read: On::Sqlite(read), write: On::Sqlite(write), contact, backlog, couriers }
            }
        }
    }

    /// Opens a transaction that may write, and reads the database's clock.
    async fn begin(&self) -> Result<(Tx, DateTime<Utc>), StoreError> {
        match &self.write {
            On::Postgres(pool) => {
                let (tx, now) = pool.begin().await?;
                Ok((On::Postgres(tx), now))
            }
            // A transaction that starts by reading could not become one that writes while another process writes.
            // SQLite has no clock but the machine's.
            On::Sqlite(pool) => {
                Ok((On::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?), Utc::now().trunc_subsecs(6)))
            }
        }
    }

    /// Opens a transaction that only reads and holds nobody up, and reads the database's clock.
    async fn begin_reading(&self) -> Result<(Tx, DateTime<Utc>), StoreError> {
        match &self.read {
            On::Postgres(_) => self.begin().await,
            On::Sqlite(pool) => Ok((On::Sqlite(pool.begin().await?), Utc::now().trunc_subsecs(6))),
        }
    }

    /// Opens a transaction of one who looks for lost workers. Gives the time by which a lease must have run out for that
    /// too: now; but never, as long as a worker may just not have been heard because the database was away. The time of
    /// contact by the rules is enough for every worker that lives to renew its own.
    async fn begin_search(&self, policy: &Policy) -> Result<(Tx, DateTime<Utc>, DateTime<Utc>), StoreError> {
        let begun = self.begin().await;
        match &begun {
            Ok(_) => self.contact.heard(policy.contact),
            Err(_) => self.contact.lost(),
        }
        let (tx, now) = begun?;
        // A file is never away.
        let is_steady = matches!(tx, On::Sqlite(_)) || self.contact.is_steady_for(policy.contact);
        let lost_by = if is_steady { now } else { DateTime::UNIX_EPOCH };
        Ok((tx, now, lost_by))
    }

    /// Begins a change to the job that `lease` is for: from here to the commit the job's row is locked.
    ///
    /// This is the fence: nothing is locked, and nothing changes, unless the lease is the job's newest and the job runs.
    /// A late heartbeat is no loss: who still has the newest lease may write, whatever the time.
    async fn change(&self, lease: &Lease) -> Result<Change, StoreError> {
        let (tx, now) = self.begin().await?;
        Change::begin(tx, now, lease, None, &self.couriers).await
    }

    /// Like [`Store::change`], for one who ends a job whose worker was lost: the lease must have run out.
    async fn change_expired(&self, lease: &Lease) -> Result<Change, StoreError> {
        let (tx, now) = self.begin().await?;
        Change::begin(tx, now, lease, Some(now), &self.couriers).await
    }
}

/// A change to a running job. It counts as one event, which the commit writes.
struct Change {
    tx: Tx,
    now: DateTime<Utc>,
    lease: Lease,
    /// The number of the event.
    seq: i64,
    attempt: i64,
    attempts_left: bool,
    cancel_requested: bool,
    /// When the job was submitted or last retried.
    queued_at: DateTime<Utc>,
    couriers: CourierBell,
}

impl Change {
    async fn begin(
        mut tx: Tx,
        now: DateTime<Utc>,
        lease: &Lease,
        expired_by: Option<DateTime<Utc>>,
        couriers: &CourierBell,
    ) -> Result<Self, StoreError> {
        let locked: Option<(i64, i64, i64, bool, DateTime<Utc>)> = on!(&mut tx, conn => {
            sqlx::query_as(
                "UPDATE jobs SET version = version + 1
                 WHERE id = $1 AND lease_epoch = $2 AND status = 'running' AND ($3 IS NULL OR lease_until <= $3)
                 RETURNING version, attempt, max_attempts, cancel_requested_at IS NOT NULL,
                     COALESCE(retried_at, created_at)",
            )
            .bind(lease.job_id.as_uuid())
            .bind(lease.epoch)
            .bind(expired_by)
            .fetch_optional(&mut **conn)
            .await?
        });
        let (seq, attempt, max_attempts, cancel_requested, queued_at) = locked.ok_or(StoreError::LeaseLost)?;
        let (lease, attempts_left, couriers) = (*lease, attempt < max_attempts, couriers.clone());
        Ok(Self { tx, now, lease, seq, attempt, attempts_left, cancel_requested, queued_at, couriers })
    }

    /// Writes the event of the change, and makes both last.
    async fn commit(mut self, kind: EventKind, data: Value) -> Result<(), StoreError> {
        let is_told = event::append(&mut self.tx, self.lease.job_id, self.seq, kind, &data, self.now).await?;
        commit(self.tx).await?;
        self.couriers.ring_if(is_told);
        Ok(())
    }
}

async fn commit(tx: Tx) -> Result<(), StoreError> {
    Ok(on!(tx, tx => tx.commit().await)?)
}

/// With WAL alone the last commits may be lost with the power. "Accepted" means on the disk: FULL syncs the log at each
/// commit, and so does Postgres by default.
fn with_durability(options: SqliteConnectOptions) -> SqliteConnectOptions {
    let options = options.create_if_missing(true).synchronous(SqliteSynchronous::Full).busy_timeout(PATIENCE);
    // What is deleted is overwritten with zeros: who asks for a job to be forgotten means the file, too.
    options.foreign_keys(true).pragma("secure_delete", "ON")
}

/// A count for a BIGINT column. What is beyond 2^63 is not a count of anything we store.
fn to_bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count from a BIGINT column that never holds less than 0.
fn to_count(bigint: i64) -> u64 {
    u64::try_from(bigint).unwrap_or(0)
}

/// A small count from a BIGINT column.
fn to_small_count(bigint: i64) -> u32 {
    u32::try_from(bigint).unwrap_or(if bigint < 0 { 0 } else { u32::MAX })
}

/// The time at which what ends now had begun `age` ago.
fn before(now: DateTime<Utc>, age: Duration) -> DateTime<Utc> {
    let age = chrono::TimeDelta::from_std(age).unwrap_or(chrono::TimeDelta::MAX);
    now.checked_sub_signed(age).unwrap_or(DateTime::UNIX_EPOCH).trunc_subsecs(6)
}

/// A length of time as the databases' times take it.
fn after(now: DateTime<Utc>, delay: Duration) -> DateTime<Utc> {
    let delay = chrono::TimeDelta::from_std(delay).unwrap_or(chrono::TimeDelta::MAX);
    now.checked_add_signed(delay).unwrap_or(DateTime::<Utc>::MAX_UTC).trunc_subsecs(6)
}
