//! The webhooks that owners register.

use chrono::{DateTime, Utc};
use domain::WebhookUrl;
use sqlx::FromRow;
use uuid::Uuid;

use super::super::{Store, commit, on, to_bigint, to_small_count};
use super::again::{put_first, wake};
use super::{ENDPOINT, events_from_json, events_to_json, read_url, secret};
use crate::error::StoreError;
use crate::webhook::message::test_body;
use crate::webhook::{
    Delivery, DeliveryId, DeliveryStatus, DisabledReason, NewWebhook, TEST_EVENT, Webhook, WebhookChange, WebhookId,
    WebhookSecret,
};

/// The columns of a [`WebhookRow`].
macro_rules! webhook_columns {
    () => {
        "id, url, description, events, disabled_at, disabled_reason, failing_since, consecutive_failures, created_at,
         updated_at"
    };
}

/// A row of `webhooks`.
#[derive(FromRow)]
struct WebhookRow {
    id: Uuid,
    url: String,
    description: String,
    events: String,
    disabled_at: Option<DateTime<Utc>>,
    disabled_reason: Option<String>,
    failing_since: Option<DateTime<Utc>>,
    consecutive_failures: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<WebhookRow> for Webhook {
    type Error = StoreError;

    fn try_from(row: WebhookRow) -> Result<Self, Self::Error> {
        Ok(Self {
            id: WebhookId(row.id),
            url: read_url(&row.url)?,
            description: row.description,
            events: events_from_json(&row.events)?,
            disabled_at: row.disabled_at,
            // The column's own check allows no third one.
            disabled_reason: row.disabled_reason.map(|reason| match reason.as_str() {
                "gone" => DisabledReason::Gone,
                _ => DisabledReason::Failing,
            }),
            failing_since: row.failing_since,
            consecutive_failures: to_small_count(row.consecutive_failures),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Store {
    /// Adds a webhook with its secret, unless its owner has `max` already.
    pub(crate) async fn create_webhook(
        &self,
        webhook: NewWebhook,
        max: usize,
    ) -> Result<Option<(Webhook, WebhookSecret)>, StoreError> {
        let NewWebhook { owner, url, description, events, is_enabled } = webhook;
        let (id, new_secret) = (WebhookId::new(), WebhookSecret::new());
        let (mut tx, now) = self.begin().await?;
        let disabled_at = (!is_enabled).then_some(now);
        let rows_added = on!(&mut tx, conn => {
            sqlx::query(
                "INSERT INTO webhooks (id, owner, kind, url, description, events, created_at, updated_at, disabled_at,
                                       consecutive_failures, is_slow)
                 SELECT $1, $2, $3, $4, $5, $6, $7, $7, $8, 0, TRUE
                 WHERE (SELECT COUNT(*) FROM webhooks
                        WHERE kind = 'endpoint' AND deleted_at IS NULL AND COALESCE(owner, '') = COALESCE($2, '')) < $9",
            )
            .bind(id.0)
            .bind(owner.as_deref())
            .bind(ENDPOINT)
            .bind(url.as_str())
            .bind(&description)
            .bind(events_to_json(&events))
            .bind(now)
            .bind(disabled_at)
            .bind(to_bigint(max as u64))
            .execute(&mut **conn)
            .await?
            .rows_affected()
        });
        if rows_added == 0 {
            return Ok(None);
        }
        secret::add(&mut tx, owner.as_deref(), Some(id), &new_secret, now).await?;
        commit(tx).await?;
        let webhook = Webhook {
            id,
            url,
            description,
            events,
            disabled_at,
            disabled_reason: None,
            failing_since: None,
            consecutive_failures: 0,
            created_at: now,
            updated_at: now,
        };
        Ok(Some((webhook, new_secret)))
    }

    /// The webhooks of an owner, oldest first.
    pub(crate) async fn webhooks(&self, owner: Option<&str>) -> Result<Vec<Webhook>, StoreError> {
        let rows: Vec<WebhookRow> = on!(&self.read, pool => {
            sqlx::query_as(concat!(
                "SELECT ",
                webhook_columns!(),
                " FROM webhooks
                 WHERE kind = 'endpoint' AND deleted_at IS NULL AND ($1 IS NULL OR owner = $1)
                 ORDER BY id",
            ))
            .bind(owner)
            .fetch_all(pool)
            .await?
        });
        rows.into_iter().map(Webhook::try_from).collect()
    }

    /// One webhook of an owner.
    pub(crate) async fn webhook(&self, owner: Option<&str>, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        let row: Option<WebhookRow> = on!(&self.read, pool => {
            sqlx::query_as(concat!(
                "SELECT ",
                webhook_columns!(),
                " FROM webhooks
                 WHERE id = $1 AND kind = 'endpoint' AND deleted_at IS NULL AND ($2 IS NULL OR owner = $2)",
            ))
            .bind(id.0)
            .bind(owner)
            .fetch_optional(pool)
            .await?
        });
        row.map(Webhook::try_from).transpose()
    }

    /// Changes what is given. A new address, like enabling, is a new start: earlier failures are forgotten.
    pub(crate) async fn change_webhook(
        &self,
        owner: Option<&str>,
        id: WebhookId,
        change: &WebhookChange,
    ) -> Result<Option<Webhook>, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let is_new_start = change.url.is_some() || change.is_enabled == Some(true);
        let row: Option<WebhookRow> = on!(&mut tx, conn => {
            sqlx::query_as(concat!(
                "UPDATE webhooks
                 SET url = COALESCE($3, url),
                     description = COALESCE($4, description),
                     events = COALESCE($5, events),
                     disabled_at = CASE WHEN $6 THEN NULL WHEN $7 THEN COALESCE(disabled_at, $9) ELSE disabled_at END,
                     disabled_reason = CASE WHEN $6 OR $7 THEN NULL ELSE disabled_reason END,
                     consecutive_failures = CASE WHEN $8 THEN 0 ELSE consecutive_failures END,
                     failing_since = CASE WHEN $8 THEN NULL ELSE failing_since END,
                     probe_at = CASE WHEN $8 THEN NULL ELSE probe_at END,
                     updated_at = $9
                 WHERE id = $1 AND kind = 'endpoint' AND deleted_at IS NULL AND ($2 IS NULL OR owner = $2)
                 RETURNING ",
                webhook_columns!(),
            ))
            .bind(id.0)
            .bind(owner)
            .bind(change.url.as_ref().map(WebhookUrl::as_str))
            .bind(change.description.as_deref())
            .bind(change.events.as_deref().map(events_to_json))
            .bind(change.is_enabled == Some(true))
            .bind(change.is_enabled == Some(false))
            .bind(is_new_start)
            .bind(now)
            .fetch_optional(&mut **conn)
            .await?
        });
        let webhook = row.map(Webhook::try_from).transpose()?;
        commit(tx).await?;
        self.couriers.ring_if(is_new_start);
        Ok(webhook)
    }

    /// Deletes a webhook and its secrets at once; what waits for it is never sent, and the sweep removes it.
    pub(crate) async fn delete_webhook(&self, owner: Option<&str>, id: WebhookId) -> Result<bool, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let rows_changed = on!(&mut tx, conn => {
            sqlx::query(
                "UPDATE webhooks SET deleted_at = $3, url = '', description = ''
                 WHERE id = $1 AND kind = 'endpoint' AND deleted_at IS NULL AND ($2 IS NULL OR owner = $2)",
            )
            .bind(id.0)
            .bind(owner)
            .bind(now)
            .execute(&mut **conn)
            .await?
            .rows_affected()
        });
        if rows_changed == 0 {
            return Ok(false);
        }
        on!(&mut tx, conn => {
            sqlx::query("DELETE FROM webhook_secrets WHERE webhook_id = $1").bind(id.0).execute(&mut **conn).await?;
        });
        commit(tx).await?;
        Ok(true)
    }

    /// Adds a test message.
    pub(crate) async fn test_webhook(
        &self,
        owner: Option<&str>,
        id: WebhookId,
    ) -> Result<Option<Delivery>, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let delivery_id = DeliveryId::new();
        let message_id = format!("evt_{}", delivery_id.0.simple());
        let rows_added = on!(&mut tx, conn => {
            sqlx::query(
                "INSERT INTO webhook_deliveries (id, webhook_id, message_id, seq, kind, body, status, tries, attempts,
                                                 due_at, lease_epoch, created_at)
                 SELECT $3, id, $4, 0, $5, $6, 'pending', 0, 0, $7, 0, $7
                 FROM webhooks
                 WHERE id = $1 AND kind = 'endpoint' AND deleted_at IS NULL AND ($2 IS NULL OR owner = $2)",
            )
            .bind(id.0)
            .bind(owner)
            .bind(delivery_id.0)
            .bind(&message_id)
            .bind(TEST_EVENT)
            .bind(test_body(id, now))
            .bind(now)
            .execute(&mut **conn)
            .await?
            .rows_affected()
        });
        if rows_added == 0 {
            return Ok(None);
        }
        put_first(&mut tx, id.0, delivery_id, now).await?;
        // Somebody waits for the answer: a receiver that failed need not wait for its next probe.
        wake(&mut tx, id.0, now).await?;
        commit(tx).await?;
        self.couriers.ring();
        Ok(Some(Delivery {
            id: delivery_id,
            webhook_id: Some(id),
            job_id: None,
            message_id,
            kind: TEST_EVENT.to_owned(),
            status: DeliveryStatus::Pending,
            attempts: 0,
            next_attempt_at: Some(now),
            created_at: now,
            finished_at: None,
        }))
    }
}
