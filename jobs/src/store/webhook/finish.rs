//! What came of sending a message: for the delivery, and for what is known of the receiver.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};

use super::super::{Store, Tx, after, commit, on};
use crate::error::StoreError;
use crate::webhook::{DeliveryEnd, DeliveryLease, Exchange, WebhookPolicy};

impl Store {
    /// Writes what came of an attempt.
    pub(crate) async fn finish_delivery(
        &self,
        lease: &DeliveryLease,
        started_at: DateTime<Utc>,
        exchange: &Exchange,
        end: DeliveryEnd,
        policy: &WebhookPolicy,
    ) -> Result<(), StoreError> {
        let (mut tx, now) = self.begin().await?;
        if end == DeliveryEnd::Delivered {
            note_success(&mut tx, lease, exchange.duration > policy.slow_after).await?;
        } else {
            note_failure(&mut tx, lease, end, now, policy).await?;
        }
        // Dropped without a commit, what was noted of the receiver is forgotten too.
        let number = end_try(&mut tx, lease, end, now).await?.ok_or(StoreError::LeaseLost)?;
        on!(&mut tx, conn => {
            sqlx::query(
                "INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms, status, error, response)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(lease.delivery_id.0)
            .bind(number)
            .bind(started_at.trunc_subsecs(6))
            .bind(i64::try_from(exchange.duration.as_millis()).unwrap_or(i64::MAX))
            .bind(exchange.status.map(i64::from))
            .bind(exchange.error.as_deref())
            .bind(exchange.response.as_deref())
            .execute(&mut **conn)
            .await?;
        });
        commit(tx).await
    }
}

async fn note_success(tx: &mut Tx, lease: &DeliveryLease, is_slow: bool) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "UPDATE webhooks SET consecutive_failures = 0, failing_since = NULL, probe_at = NULL, is_slow = $2
             WHERE id = $1",
        )
        .bind(lease.webhook_id.0)
        .bind(is_slow)
        .execute(&mut **conn)
        .await?;
    });
    Ok(())
}

/// Counts the failure. The next probe waits for as long as the receiver asked. What it wants no more, or has not taken for
/// too long, waits until somebody enables it: an origin is never gone, because it stands for many addresses.
async fn note_failure(
    tx: &mut Tx,
    lease: &DeliveryLease,
    end: DeliveryEnd,
    now: DateTime<Utc>,
    policy: &WebhookPolicy,
) -> Result<(), StoreError> {
    let failing_too_long_since = now - chrono::TimeDelta::from_std(policy.disable_after).unwrap_or_default();
    let receiver_pause = match end {
        DeliveryEnd::Retry { receiver_pause, .. } => receiver_pause.unwrap_or_default(),
        DeliveryEnd::Delivered | DeliveryEnd::Failed | DeliveryEnd::Gone => Duration::ZERO,
    };
    let next_probe_at = after(now, policy.probe_interval.max(receiver_pause));
    on!(tx, conn => {
        sqlx::query(
            "UPDATE webhooks
             SET consecutive_failures = consecutive_failures + 1,
                 failing_since = COALESCE(failing_since, $2),
                 probe_at = $3,
                 is_slow = TRUE,
                 disabled_reason = CASE WHEN disabled_at IS NOT NULL THEN disabled_reason
                                        WHEN $4 AND kind = 'endpoint' THEN 'gone'
                                        WHEN failing_since <= $5 THEN 'failing' END,
                 disabled_at = CASE WHEN disabled_at IS NOT NULL THEN disabled_at
                                    WHEN ($4 AND kind = 'endpoint') OR failing_since <= $5 THEN $2 END
             WHERE id = $1",
        )
        .bind(lease.webhook_id.0)
        .bind(now)
        .bind(next_probe_at)
        .bind(end == DeliveryEnd::Gone)
        .bind(failing_too_long_since.trunc_subsecs(6))
        .execute(&mut **conn)
        .await?;
    });
    Ok(())
}

/// Ends the try under its lease. Gives the number of the attempt, if the lease is the newest and was not handed back.
async fn end_try(
    tx: &mut Tx,
    lease: &DeliveryLease,
    end: DeliveryEnd,
    now: DateTime<Utc>,
) -> Result<Option<i64>, StoreError> {
    let (status, delay) = match end {
        DeliveryEnd::Delivered => ("delivered", Duration::ZERO),
        DeliveryEnd::Retry { delay, .. } => ("pending", delay),
        DeliveryEnd::Failed | DeliveryEnd::Gone => ("failed", Duration::ZERO),
    };
    Ok(on!(tx, conn => {
        sqlx::query_scalar(
            "UPDATE webhook_deliveries
             SET status = $3, tries = tries + 1, attempts = attempts + 1, due_at = $4, lease_until = NULL,
                 worker_id = NULL, finished_at = CASE WHEN $3 = 'pending' THEN NULL ELSE $5 END
             WHERE id = $1 AND lease_epoch = $2 AND status = 'pending' AND lease_until IS NOT NULL
             RETURNING attempts",
        )
        .bind(lease.delivery_id.0)
        .bind(lease.epoch)
        .bind(status)
        .bind(after(now, delay))
        .bind(now)
        .fetch_optional(&mut **conn)
        .await?
    }))
}
