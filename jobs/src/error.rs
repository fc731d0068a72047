//! Why the store did not do as asked.

use std::error::Error;

use crate::quota::QuotaExceeded;

/// Why the store did not do as asked: one variant per reaction.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another worker holds the job now, or the job is over: stop, and forget the result.
    #[error("the job's lease is lost")]
    LeaseLost,
    /// There would be too many jobs, or they would cost too much: ask for fewer, or later.
    #[error(transparent)]
    QuotaExceeded(QuotaExceeded),
    /// The job was there, but what it was about has been forgotten, as somebody asked or as it was long ago.
    #[error("the job has been deleted")]
    Purged,
    /// The database cannot be reached, does not answer or is too busy: the same request may well succeed later. What was
    /// asked may have been done.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The address does not lead to a database we know: correct the configuration.
    #[error("cannot use the database address `{scheme}:…`: write sqlite:<file> or postgres://<user>@<host>/<name>")]
    Address {
        /// What stands before the first colon. The rest may hold a password.
        scheme: String,
        /// What is wrong with the rest, when the scheme is a known one.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// The address does not lead to a Redis: correct the configuration.
    #[error("cannot use the Redis address: write redis://<user>:<password>@<host>:<port>, or rediss:// for TLS")]
    RedisAddress(#[source] redis::RedisError),
    /// The tables cannot be brought up to date.
    #[error("the database cannot be migrated")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// A stored value does not read: written by another version, or damaged.
    #[error("the stored {what} cannot be read")]
    Damaged {
        /// Which value.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The database refused a statement: a defect of ours.
    #[error("the database refused a statement")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// The variant's name, as traces show it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::LeaseLost => "lease_lost",
            Self::Purged => "purged",
            Self::QuotaExceeded(_) => "quota_exceeded",
            Self::Unavailable(_) => "unavailable",
            Self::Address { .. } | Self::RedisAddress(_) => "address",
            Self::Migrate(_) => "migrate",
            Self::Damaged { .. } => "damaged",
            Self::Database(_) => "database",
        }
    }

    /// For `map_err`: a value that does not read.
    pub(crate) fn damaged<E: Into<Box<dyn Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Damaged { what, source: source.into() }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(error),
            sqlx::Error::Database(database) if database.code().is_some_and(|code| is_passing(&code)) => {
                Self::Unavailable(error)
            }
            _ => Self::Database(error),
        }
    }
}

/// Whether an error code of the database tells of a state that passes.
///
/// Postgres (Appendix A of its manual): class 08 connection, 40 rolled back to break a tie, 53 out of resources, 57
/// stopped by the operator; 25P03 a transaction ended because we were silent. SQLite ("Result and Error Codes"): the low byte 5 busy, 6 locked, 10 I/O, 13 disk full.
fn is_passing(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "25P03", "40", "53", "57"].iter().any(|class| code.starts_with(class));
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13))
}

#[cfg(test)]
mod tests {
    use super::is_passing;

    #[test]
    fn tells_what_passes_from_what_does_not() {
        for passing in ["08006", "40001", "40P01", "53300", "57P01", "25P03", "5", "517", "6", "13"] {
            assert!(is_passing(passing), "{passing}");
        }
        for lasting in ["23505", "25P02", "42P01", "1", "787", "1555"] {
            assert!(!is_passing(lasting), "{lasting}");
        }
    }
}
