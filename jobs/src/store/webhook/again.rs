//! Somebody asks for messages to be sent again. Their `webhook-id` stays, so receivers can tell.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

use super::super::{Store, Tx, before, commit, on};
use super::ENDPOINT;
use crate::error::StoreError;
use crate::webhook::{DeliveryId, DeliveryStatus, Redelivery, WebhookId};

impl Store {
    /// Sends a message again, or at once when it waits; one that is on its way stays on it.
    pub(crate) async fn redeliver(&self, owner: Option<&str>, id: DeliveryId) -> Result<Redelivery, StoreError> {
        let (mut tx, now) = self.begin().await?;
        // Locks the receiver's row, before the delivery's.
        let receiver: Option<(Uuid, String, bool)> = on!(&mut tx, conn => {
            sqlx::query_as(
                "UPDATE webhooks SET updated_at = updated_at
                 WHERE id = (SELECT webhook_id FROM webhook_deliveries WHERE id = $1)
                   AND ($2 IS NULL OR owner = $2) AND deleted_at IS NULL
                 RETURNING id, kind, disabled_at IS NOT NULL",
            )
            .bind(id.0)
            .bind(owner)
            .fetch_optional(&mut **conn)
            .await?
        });
        let Some((webhook_id, kind, is_disabled)) = receiver else { return Ok(Redelivery::NotFound) };
        if is_disabled && kind == ENDPOINT {
            return Ok(Redelivery::Disabled);
        }
        let rows_changed = on!(&mut tx, conn => {
            sqlx::query(
                "UPDATE webhook_deliveries
                 SET status = 'pending', tries = 0, due_at = $2, finished_at = NULL
                 WHERE id = $1",
            )
            .bind(id.0)
            .bind(now)
            .execute(&mut **conn)
            .await?
            .rows_affected()
        });
        if rows_changed == 0 {
            return Ok(Redelivery::NotFound);
        }
        put_first(&mut tx, webhook_id, id, now).await?;
        wake(&mut tx, webhook_id, now).await?;
        commit(tx).await?;
        self.couriers.ring();
        Ok(Redelivery::Queued)
    }

    /// Sends the messages of a time again that are over.
    pub(crate) async fn replay(
        &self,
        owner: Option<&str>,
        id: WebhookId,
        since: DateTime<Utc>,
        until: Option<DateTime<Utc>>,
        status: Option<DeliveryStatus>,
    ) -> Result<Option<u64>, StoreError> {
        let (mut tx, now) = self.begin().await?;
        // Locks the receiver's row, before the deliveries'.
        let found: Option<Uuid> = on!(&mut tx, conn => {
            sqlx::query_scalar(
                "UPDATE webhooks SET updated_at = updated_at
                 WHERE id = $1 AND kind = 'endpoint' AND deleted_at IS NULL AND ($2 IS NULL OR owner = $2)
                 RETURNING id",
            )
            .bind(id.0)
            .bind(owner)
            .fetch_optional(&mut **conn)
            .await?
        });
        let Some(webhook_id) = found else { return Ok(None) };
        let replayed = on!(&mut tx, conn => {
            sqlx::query(
                "UPDATE webhook_deliveries
                 SET status = 'pending', tries = 0, due_at = $2, finished_at = NULL
                 WHERE webhook_id = $1 AND status <> 'pending' AND ($3 IS NULL OR status = $3)
                   AND created_at >= $4 AND created_at < $5",
            )
            .bind(webhook_id)
            .bind(now)
            .bind(status.map(DeliveryStatus::as_str))
            .bind(since.trunc_subsecs(6))
            .bind(until.unwrap_or(now).trunc_subsecs(6))
            .execute(&mut **conn)
            .await?
            .rows_affected()
        });
        wake(&mut tx, webhook_id, now).await?;
        commit(tx).await?;
        self.couriers.ring();
        Ok(Some(replayed))
    }
}

/// Puts a message before all others to its receiver: somebody waits for what becomes of it, and a receiver that failed gets
/// one message at a time, the one that is due longest.
pub(super) async fn put_first(
    tx: &mut Tx,
    webhook_id: Uuid,
    id: DeliveryId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let first: Option<DateTime<Utc>> = on!(&mut *tx, conn => {
        sqlx::query_scalar(
            "SELECT MIN(due_at) FROM webhook_deliveries WHERE webhook_id = $1 AND status = 'pending' AND id <> $2",
        )
        .bind(webhook_id)
        .bind(id.0)
        .fetch_one(&mut **conn)
        .await?
    });
    let Some(first) = first.filter(|first| *first <= now) else { return Ok(()) };
    on!(tx, conn => {
        sqlx::query("UPDATE webhook_deliveries SET due_at = $2 WHERE id = $1")
            .bind(id.0)
            .bind(before(first, Duration::from_micros(1)))
            .execute(&mut **conn)
            .await?;
    });
    Ok(())
}

/// Lets a receiver that failed be tried at once. One that jobs brought along has nobody else to enable it.
pub(super) async fn wake(tx: &mut Tx, webhook_id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE webhooks
             SET probe_at = CASE WHEN probe_at > $2 THEN $2 ELSE probe_at END,
                 failing_since = CASE WHEN kind = 'origin' AND disabled_at IS NOT NULL THEN NULL ELSE failing_since END,
                 disabled_reason = CASE kind WHEN 'origin' THEN NULL ELSE disabled_reason END,
                 disabled_at = CASE kind WHEN 'origin' THEN NULL ELSE disabled_at END
             WHERE id = $1",
        )
        .bind(webhook_id)
        .bind(now)
        .execute(&mut **conn)
        .await?;
    });
    Ok(())
}
