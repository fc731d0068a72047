//! What was sent, for those who look it up.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::JobId;
use sqlx::FromRow;
use uuid::Uuid;

use super::super::{Store, on, to_count, to_small_count};
use super::ENDPOINT;
use crate::error::StoreError;
use crate::webhook::{Delivery, DeliveryAttempt, DeliveryFilter, DeliveryId, DeliveryStatus, Exchange, WebhookId};

/// Deliveries, `d`, with their receivers, `w`: the beginning of a statement that reads [`DeliveryRow`]s.
macro_rules! deliveries {
    () => {
        "SELECT d.id, d.webhook_id, w.kind AS webhook_kind, d.job_id, d.message_id, d.kind, d.status, d.attempts,
                d.due_at, d.created_at, d.finished_at
         FROM webhook_deliveries AS d
         JOIN webhooks AS w ON w.id = d.webhook_id
         "
    };
}

/// A row of `webhook_deliveries`, with the kind of its receiver.
#[derive(FromRow)]
struct DeliveryRow {
    id: Uuid,
    webhook_id: Uuid,
    webhook_kind: String,
    job_id: Option<Uuid>,
    message_id: String,
    kind: String,
    status: String,
    attempts: i64,
    due_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, Self::Error> {
        let status = row.status.parse().map_err(StoreError::damaged("status of a delivery"))?;
        Ok(Self {
            id: DeliveryId(row.id),
            webhook_id: (row.webhook_kind == ENDPOINT).then_some(WebhookId(row.webhook_id)),
            job_id: row.job_id.map(JobId::from),
            message_id: row.message_id,
            kind: row.kind,
            status,
            attempts: to_small_count(row.attempts),
            next_attempt_at: (status == DeliveryStatus::Pending).then_some(row.due_at),
            created_at: row.created_at,
            finished_at: row.finished_at,
        })
    }
}

/// A row of `webhook_attempts`.
#[derive(FromRow)]
struct AttemptRow {
    number: i64,
    started_at: DateTime<Utc>,
    duration_ms: i64,
    status: Option<i64>,
    error: Option<String>,
    response: Option<String>,
}

impl From<AttemptRow> for DeliveryAttempt {
    fn from(row: AttemptRow) -> Self {
        Self {
            number: to_small_count(row.number),
            started_at: row.started_at,
            exchange: Exchange {
                duration: Duration::from_millis(to_count(row.duration_ms)),
                status: row.status.and_then(|status| u16::try_from(status).ok()),
                error: row.error,
                response: row.response,
            },
        }
    }
}

impl Store {
    /// The deliveries of a webhook, newest first.
    pub(crate) async fn webhook_deliveries(
        &self,
        id: WebhookId,
        filter: &DeliveryFilter,
    ) -> Result<Vec<Delivery>, StoreError> {
        let rows: Vec<DeliveryRow> = on!(&self.read, pool => {
            sqlx::query_as(concat!(
                deliveries!(),
                "WHERE d.webhook_id = $1 AND ($2 IS NULL OR d.status = $2) AND ($3 IS NULL OR d.id < $3)
                 ORDER BY d.id DESC
                 LIMIT $4",
            ))
            .bind(id.0)
            .bind(filter.status.map(DeliveryStatus::as_str))
            .bind(filter.before.map(|id| id.0))
            .bind(i64::from(filter.limit))
            .fetch_all(pool)
            .await?
        });
        rows.into_iter().map(Delivery::try_from).collect()
    }

    /// The deliveries of a job, newest first.
    pub(crate) async fn job_deliveries(&self, id: JobId, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        let rows: Vec<DeliveryRow> = on!(&self.read, pool => {
            sqlx::query_as(concat!(
                deliveries!(),
                "WHERE d.job_id = $1 AND ($2 IS NULL OR d.status = $2) AND ($3 IS NULL OR d.id < $3)
                   AND w.deleted_at IS NULL
                 ORDER BY d.id DESC
                 LIMIT $4",
            ))
            .bind(id.as_uuid())
            .bind(filter.status.map(DeliveryStatus::as_str))
            .bind(filter.before.map(|id| id.0))
            .bind(i64::from(filter.limit))
            .fetch_all(pool)
            .await?
        });
        rows.into_iter().map(Delivery::try_from).collect()
    }

    /// One delivery of an owner, with what was sent.
    pub(crate) async fn delivery(
        &self,
        owner: Option<&str>,
        id: DeliveryId,
    ) -> Result<Option<(Delivery, String)>, StoreError> {
        let row: Option<DeliveryRow> = on!(&self.read, pool => {
            sqlx::query_as(concat!(
                deliveries!(),
                "WHERE d.id = $1 AND ($2 IS NULL OR w.owner = $2) AND w.deleted_at IS NULL",
            ))
            .bind(id.0)
            .bind(owner)
            .fetch_optional(pool)
            .await?
        });
        let Some(row) = row else { return Ok(None) };
        // A row that the sweep has removed meanwhile is no delivery any more.
        let body: Option<String> = on!(&self.read, pool => {
            sqlx::query_scalar("SELECT body FROM webhook_deliveries WHERE id = $1").bind(id.0).fetch_optional(pool).await?
        });
        let Some(body) = body else { return Ok(None) };
        Ok(Some((Delivery::try_from(row)?, body)))
    }

    /// What came of a delivery's attempts, in order.
    pub(crate) async fn delivery_attempts(&self, id: DeliveryId) -> Result<Vec<DeliveryAttempt>, StoreError> {
        let rows: Vec<AttemptRow> = on!(&self.read, pool => {
            sqlx::query_as(
                "SELECT number, started_at, duration_ms, status, error, response
                 FROM webhook_attempts
                 WHERE delivery_id = $1
                 ORDER BY number",
            )
            .bind(id.0)
            .fetch_all(pool)
            .await?
        });
        Ok(rows.into_iter().map(DeliveryAttempt::from).collect())
    }
}
