//! Whether there is room for one more running job of an owner (docs/adr/0013).
//!
//! Running jobs are counted where they are, in the rows: there is no counter that could go wrong when a worker is lost.

use super::{On, Tx};
use crate::error::StoreError;

/// The owners with the limits that they have reached: 1 to n for n running jobs.
macro_rules! limits_reached {
    () => {
        "SELECT COALESCE(owner, '') AS owner, ROW_NUMBER() OVER (PARTITION BY COALESCE(owner, '')) AS max_running
         FROM jobs WHERE status = 'running'"
    };
}

/// A waiting job that may run beside the running jobs of its owner. What is reached is listed once for the whole statement,
/// and not before that comes to a job with a limit.
macro_rules! has_room {
    () => {
        concat!(
            "(max_running = 0 OR (COALESCE(owner, ''), max_running) NOT IN (",
            $crate::store::running::limits_reached!(),
            "))"
        )
    };
    (in $limits_reached:literal) => {
        concat!(
            "(max_running = 0 OR (COALESCE(owner, ''), max_running) NOT IN (SELECT owner, max_running FROM ",
            $limits_reached,
            "))"
        )
    };
}
pub(super) use {has_room, limits_reached};

/// Whether a job with a limit, which this transaction has just set running, may run.
pub(super) enum Room {
    /// It may. Nobody else starts a job under a limit of the same owner before this transaction has ended.
    Free,
    /// It may not: others were faster.
    None,
    /// It is not known, because somebody else starts a job of the owner at this moment.
    Contended,
}

/// Counts the running jobs of an owner, of whom this transaction has set one running.
///
/// What a statement counts is how things stood when it began: two claims at the same moment would both see the last place
/// free. So the second one to come here counts after the first one has ended: it waits for that, or is told to look
/// elsewhere. SQLite lets one transaction write at a time, and its claim has counted right.
pub(super) async fn room(tx: &mut Tx, owner: &str, max_running: i64, is_patient: bool) -> Result<Room, StoreError> {
    let On::Postgres(conn) = tx else { return Ok(Room::Free) };
    if is_patient {
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('running ' || $1, 0))")
            .bind(owner)
            .execute(&mut **conn)
            .await?;
    } else {
        let is_mine: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtextextended('running ' || $1, 0))")
                .bind(owner)
                .fetch_one(&mut **conn)
                .await?;
        if !is_mine {
            return Ok(Room::Contended);
        }
    }
    let running: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM jobs WHERE status = 'running' AND COALESCE(owner, '') = $1")
            .bind(owner)
            .fetch_one(&mut **conn)
            .await?;
    Ok(if running <= max_running { Room::Free } else { Room::None })
}
