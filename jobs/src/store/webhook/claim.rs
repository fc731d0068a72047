//! A worker takes messages to send.
//!
//! First the receivers are chosen whose turn it is, then a message of each. On Postgres the receiver's row stays locked in
//! between: the second statement sees everything that earlier claims for it have changed.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::super::{On, Store, Tx, after, commit, on, to_bigint, to_small_count};
use super::{ENDPOINT, read_url, secret};
use crate::error::StoreError;
use crate::lease::WorkerId;
use crate::webhook::{ClaimedDelivery, DeliveryId, DeliveryLease, Pace, WebhookId, WebhookPolicy};

/// The messages to one receiver that may be sent at `$1`: due, not on their way, and about a job of which no earlier
/// message waits and none is on its way.
macro_rules! sendable {
    ($receiver:literal) => {
        concat!(
            "FROM webhook_deliveries AS d
             WHERE d.webhook_id = ",
            $receiver,
            "  AND d.status = 'pending' AND d.due_at <= $1 AND (d.lease_until IS NULL OR d.lease_until <= $1)
               AND NOT EXISTS (
                   SELECT 1 FROM webhook_deliveries AS other
                   WHERE other.webhook_id = d.webhook_id AND other.job_id = d.job_id AND other.status = 'pending'
                     AND (other.seq < d.seq OR (other.seq > d.seq AND other.lease_until > $1))
               )"
        )
    };
}

/// How many messages are on their way to a receiver, less than how many there may be.
macro_rules! has_room {
    ($receiver:literal, $max:literal) => {
        concat!(
            "(SELECT COUNT(*) FROM webhook_deliveries AS sent
              WHERE sent.webhook_id = ",
            $receiver,
            "   AND sent.lease_until > $1) < ",
            $max
        )
    };
}

/// Receivers that may get a message, in the order of their turns. `busy` steps from one receiver with something to send
/// to the next in an index, so that what waits costs nothing.
macro_rules! choose_receivers {
    ($skip_locked:literal) => {
        concat!(
            "WITH RECURSIVE busy (id) AS (
                 SELECT (SELECT webhook_id FROM webhook_deliveries WHERE status = 'pending' ORDER BY webhook_id LIMIT 1)
                 UNION ALL
                 SELECT (SELECT webhook_id FROM webhook_deliveries
                         WHERE status = 'pending' AND webhook_id > busy.id
                         ORDER BY webhook_id LIMIT 1)
                 FROM busy WHERE busy.id IS NOT NULL
             )
             SELECT w.id, w.owner, w.kind, w.url, w.consecutive_failures
             FROM busy JOIN webhooks AS w ON w.id = busy.id
             WHERE w.disabled_at IS NULL AND w.deleted_at IS NULL AND w.is_slow = $2
               AND (w.consecutive_failures < $3 OR w.probe_at IS NULL OR w.probe_at <= $1)
               AND ",
            has_room!("w.id", "CASE WHEN w.consecutive_failures < $3 THEN $4 ELSE 1 END"),
            "  AND EXISTS (SELECT 1 ",
            sendable!("w.id"),
            ") ORDER BY w.served_at NULLS FIRST, w.id
             LIMIT $5 ",
            $skip_locked
        )
    };
}

const CHOOSE_ON_POSTGRES: &str = choose_receivers!("FOR UPDATE OF w SKIP LOCKED");
const CHOOSE_ON_SQLITE: &str = choose_receivers!("");

const TAKE: &str = concat!(
    "UPDATE webhook_deliveries
     SET lease_epoch = lease_epoch + 1, lease_until = $3, worker_id = $4
     WHERE id = (SELECT d.id ",
    sendable!("$2"),
    "  ORDER BY d.due_at, d.id LIMIT 1)
       AND ",
    has_room!("$2", "$5"),
    " RETURNING id, message_id, kind, url, body, tries, lease_epoch,
         (SELECT trace_context FROM jobs WHERE jobs.id = webhook_deliveries.job_id) AS trace_context",
);

#[derive(FromRow)]
struct Receiver {
    id: Uuid,
    owner: Option<String>,
    kind: String,
    url: String,
    consecutive_failures: i64,
}

#[derive(FromRow)]
struct TakenRow {
    id: Uuid,
    message_id: String,
    kind: String,
    url: Option<String>,
    body: String,
    tries: i64,
    lease_epoch: i64,
    trace_context: Option<String>,
}

impl Store {
    /// Takes at most `limit` messages, one of each receiver whose turn it is.
    pub(crate) async fn claim_deliveries(
        &self,
        worker: &WorkerId,
        pace: Pace,
        limit: usize,
        policy: &WebhookPolicy,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let choose = match &tx {
            On::Postgres(_) => CHOOSE_ON_POSTGRES,
            On::Sqlite(_) => CHOOSE_ON_SQLITE,
        };
        let receivers: Vec<Receiver> = on!(&mut tx, conn => {
            sqlx::query_as(choose)
                .bind(now)
                .bind(pace == Pace::Slow)
                .bind(i64::from(policy.breaker_failures))
                .bind(i64::from(policy.concurrency))
                .bind(to_bigint(limit as u64))
                .fetch_all(&mut **conn)
                .await?
        });
        let mut claimed = Vec::new();
        for receiver in receivers {
            if let Some(taken) = take(&mut tx, &receiver, worker, now, policy).await? {
                claimed.push(complete(&mut tx, receiver, taken, now).await?);
            }
        }
        commit(tx).await?;
        Ok(claimed)
    }

    /// Hands a message back: it may be sent at once.
    pub(crate) async fn release_delivery(&self, lease: &DeliveryLease) -> Result<(), StoreError> {
        let (mut tx, _) = self.begin().await?;
        let rows_changed = on!(&mut tx, conn => {
            sqlx::query(
                "UPDATE webhook_deliveries SET lease_until = NULL, worker_id = NULL
                 WHERE id = $1 AND lease_epoch = $2 AND status = 'pending' AND lease_until IS NOT NULL",
            )
            .bind(lease.delivery_id.0)
            .bind(lease.epoch)
            .execute(&mut **conn)
            .await?
            .rows_affected()
        });
        if rows_changed == 0 {
            return Err(StoreError::LeaseLost);
        }
        commit(tx).await
    }
}

/// Takes the message of a receiver that is due first, and ends the receiver's turn.
async fn take(
    tx: &mut Tx,
    receiver: &Receiver,
    worker: &WorkerId,
    now: DateTime<Utc>,
    policy: &WebhookPolicy,
) -> Result<Option<TakenRow>, StoreError> {
    let is_probed = receiver.consecutive_failures >= i64::from(policy.breaker_failures);
    let taken = on!(&mut *tx, conn => {
        sqlx::query_as(TAKE)
            .bind(now)
            .bind(receiver.id)
            .bind(after(now, policy.lease))
            .bind(worker.as_str())
            .bind(if is_probed { 1 } else { i64::from(policy.concurrency) })
            .fetch_optional(&mut **conn)
            .await?
    });
    on!(&mut *tx, conn => {
        sqlx::query("UPDATE webhooks SET served_at = $2 WHERE id = $1")
            .bind(receiver.id)
            .bind(now)
            .execute(&mut **conn)
            .await?;
    });
    Ok(taken)
}

async fn complete(
    tx: &mut Tx,
    receiver: Receiver,
    taken: TakenRow,
    now: DateTime<Utc>,
) -> Result<ClaimedDelivery, StoreError> {
    let own_secrets_of = (receiver.kind == ENDPOINT).then_some(receiver.id);
    let secrets = secret::valid_secrets(tx, receiver.owner.as_deref(), own_secrets_of, now).await?;
    Ok(ClaimedDelivery {
        lease: DeliveryLease {
            delivery_id: DeliveryId(taken.id),
            webhook_id: WebhookId(receiver.id),
            epoch: taken.lease_epoch,
        },
        message_id: taken.message_id,
        kind: taken.kind,
        url: read_url(taken.url.as_deref().unwrap_or(&receiver.url))?,
        body: taken.body,
        tries: to_small_count(taken.tries),
        secrets,
        trace_context: taken.trace_context,
        claimed_at: now,
    })
}
