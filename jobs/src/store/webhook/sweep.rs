//! What is kept no longer, removed a batch at a time.

use chrono::{SubsecRound, TimeDelta};
use domain::JobId;
use uuid::Uuid;

use super::super::{Store, Tx, commit, on};
use crate::error::StoreError;
use crate::webhook::WebhookPolicy;

/// Deliveries that one sweep removes; the next one finds the rest.
const BATCH: i64 = 500;

impl Store {
    /// Removes what is older than is kept, what is left of deleted webhooks, and secrets that expired.
    pub(crate) async fn sweep_deliveries(&self, policy: &WebhookPolicy) -> Result<u64, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let kept_since = (now - TimeDelta::from_std(policy.history).unwrap_or_default()).trunc_subsecs(6);
        let old: Vec<Uuid> = on!(&mut tx, conn => {
            sqlx::query_scalar(
                "DELETE FROM webhook_deliveries
                 WHERE id IN (SELECT id FROM webhook_deliveries WHERE created_at <= $1 ORDER BY created_at LIMIT $2)
                 RETURNING id",
            )
            .bind(kept_since)
            .bind(BATCH)
            .fetch_all(&mut **conn)
            .await?
        });
        let orphaned: Vec<Uuid> = on!(&mut tx, conn => {
            sqlx::query_scalar(
                "DELETE FROM webhook_deliveries
                 WHERE id IN (SELECT d.id FROM webhooks AS w JOIN webhook_deliveries AS d ON d.webhook_id = w.id
                              WHERE w.deleted_at IS NOT NULL LIMIT $1)
                 RETURNING id",
            )
            .bind(BATCH)
            .fetch_all(&mut **conn)
            .await?
        });
        for id in old.iter().chain(&orphaned) {
            forget_attempts(&mut tx, *id).await?;
        }
        // Not at once: a job's transaction may be about to add a delivery to one that it read before.
        let deleted_before = (now - TimeDelta::hours(1)).trunc_subsecs(6);
        on!(&mut tx, conn => {
            sqlx::query(
                "DELETE FROM webhooks
                 WHERE deleted_at <= $1
                   AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS d WHERE d.webhook_id = webhooks.id)",
            )
            .bind(deleted_before)
            .execute(&mut **conn)
            .await?;
        });
        on!(&mut tx, conn => {
            sqlx::query("DELETE FROM webhook_secrets WHERE expires_at <= $1").bind(now).execute(&mut **conn).await?;
        });
        commit(tx).await?;
        Ok((old.len() + orphaned.len()) as u64)
    }
}

/// Forgets everything that receivers were told about a job, sent or not, and where to. For whoever purges a job.
pub(in crate::store) async fn forget_deliveries(tx: &mut Tx, id: JobId) -> Result<(), StoreError> {
    let deliveries: Vec<Uuid> = on!(&mut *tx, conn => {
        sqlx::query_scalar("DELETE FROM webhook_deliveries WHERE job_id = $1 RETURNING id")
            .bind(id.as_uuid())
            .fetch_all(&mut **conn)
            .await?
    });
    for delivery in deliveries {
        forget_attempts(tx, delivery).await?;
    }
    on!(tx, conn => {
        sqlx::query("DELETE FROM job_webhooks WHERE job_id = $1").bind(id.as_uuid()).execute(&mut **conn).await?;
    });
    Ok(())
}

async fn forget_attempts(tx: &mut Tx, delivery: Uuid) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query("DELETE FROM webhook_attempts WHERE delivery_id = $1").bind(delivery).execute(&mut **conn).await?;
    });
    Ok(())
}
