//! Messages are written in the transaction of the event they tell of.

use chrono::{DateTime, Utc};
use domain::{Cost, JobId, StageKey, TokenUsage};
use serde_json::Value;
use sqlx::FromRow;
use uuid::Uuid;

use super::super::rows::from_json;
use super::super::{Tx, on, to_count, to_small_count};
use super::{ORIGIN, events_from_json, events_to_json};
use crate::error::StoreError;
use crate::event::EventKind;
use crate::webhook::message::Notice;
use crate::webhook::{DeliveryId, JobWebhook, WEBHOOK_EVENTS, WebhookId};

/// A receiver and what it wants to be told of.
#[derive(FromRow)]
struct Target {
    webhook_id: Uuid,
    events: String,
    /// Of a webhook that the job brought along.
    url: Option<String>,
}

/// What a message tells of a job.
#[derive(FromRow)]
struct NoticeRow {
    spec: String,
    status: String,
    attempt: i64,
    max_attempts: i64,
    result: Option<String>,
    failure: Option<String>,
    input_tokens: i64,
    cache_creation_tokens: i64,
    cache_read_tokens: i64,
    output_tokens: i64,
    cost_nanos: i64,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

/// Notes who is told of this job alone. That somebody names the receiver again enables it, if it was disabled.
pub(in crate::store) async fn attach_webhook(
    tx: &mut Tx,
    id: JobId,
    owner: Option<&str>,
    webhook: &JobWebhook,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let webhook_id: Uuid = on!(tx, conn => {
        sqlx::query_scalar(
            "INSERT INTO webhooks (id, owner, kind, url, description, events, created_at, updated_at,
                                   consecutive_failures, is_slow)
             VALUES ($1, $2, $3, $4, '', '[]', $5, $5, 0, TRUE)
             ON CONFLICT (COALESCE(owner, ''), url) WHERE kind = 'origin' DO UPDATE
             SET updated_at = excluded.updated_at, disabled_at = NULL, disabled_reason = NULL,
                 failing_since = CASE WHEN webhooks.disabled_at IS NULL THEN webhooks.failing_since END
             RETURNING id",
        )
        .bind(WebhookId::new().0)
        .bind(owner)
        .bind(ORIGIN)
        .bind(webhook.url.origin())
        .bind(now)
        .fetch_one(&mut **conn)
        .await?
    });
    on!(tx, conn => {
        sqlx::query("INSERT INTO job_webhooks (job_id, webhook_id, url, events) VALUES ($1, $2, $3, $4)")
            .bind(id.as_uuid())
            .bind(webhook_id)
            .bind(webhook.url.as_str())
            .bind(events_to_json(&webhook.events))
            .execute(&mut **conn)
            .await?;
    });
    super::secret::ensure_default(tx, owner, now).await
}

/// Writes a delivery of the event to everybody who wants to be told of it. Gives whether anybody does.
pub(in crate::store) async fn write_deliveries(
    tx: &mut Tx,
    id: JobId,
    seq: i64,
    kind: EventKind,
    data: &Value,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    if !WEBHOOK_EVENTS.contains(&kind) {
        return Ok(false);
    }
    let mut targets = Vec::new();
    for target in targets_of(tx, id).await? {
        if events_from_json(&target.events)?.contains(&kind) {
            targets.push(target);
        }
    }
    if targets.is_empty() {
        return Ok(false);
    }
    let notice = read_notice(tx, id, seq, kind, data, at).await?;
    let (message_id, body) = (notice.message_id(), notice.body());
    for target in targets {
        on!(&mut *tx, conn => {
            sqlx::query(
                "INSERT INTO webhook_deliveries (id, webhook_id, message_id, job_id, seq, kind, url, body, status, tries,
                                                 attempts, due_at, lease_epoch, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', 0, 0, $9, 0, $9)",
            )
            .bind(DeliveryId::new().0)
            .bind(target.webhook_id)
            .bind(&message_id)
            .bind(id.as_uuid())
            .bind(seq)
            .bind(kind.as_str())
            .bind(target.url)
            .bind(&body)
            .bind(at)
            .execute(&mut **conn)
            .await?;
        });
    }
    Ok(true)
}

async fn targets_of(tx: &mut Tx, id: JobId) -> Result<Vec<Target>, StoreError> {
    Ok(on!(tx, conn => {
        sqlx::query_as(
            "SELECT id AS webhook_id, events, NULL AS url FROM webhooks
             WHERE kind = 'endpoint' AND deleted_at IS NULL
               AND COALESCE(owner, '') = (SELECT COALESCE(owner, '') FROM jobs WHERE id = $1)
             UNION ALL
             SELECT webhook_id, events, url FROM job_webhooks WHERE job_id = $1",
        )
        .bind(id.as_uuid())
        .fetch_all(&mut **conn)
        .await?
    }))
}

async fn read_notice(
    tx: &mut Tx,
    id: JobId,
    seq: i64,
    kind: EventKind,
    data: &Value,
    at: DateTime<Utc>,
) -> Result<Notice, StoreError> {
    let row: NoticeRow = on!(tx, conn => {
        sqlx::query_as(
            "SELECT spec, status, attempt, max_attempts, result, failure, input_tokens, cache_creation_tokens,
                    cache_read_tokens, output_tokens, cost_nanos, created_at, started_at, finished_at
             FROM jobs
             WHERE id = $1",
        )
        .bind(id.as_uuid())
        .fetch_one(&mut **conn)
        .await?
    });
    Ok(Notice {
        id,
        version: to_count(seq),
        kind,
        stage: stage_of(data),
        at,
        spec: from_json("spec", &row.spec)?,
        status: row.status.parse().map_err(StoreError::damaged("status"))?,
        attempt: to_small_count(row.attempt),
        max_attempts: to_small_count(row.max_attempts),
        result: row.result.as_deref().map(|json| from_json("result", json)).transpose()?,
        failure: row.failure.as_deref().map(|json| from_json("failure", json)).transpose()?,
        usage: TokenUsage {
            input_tokens: to_count(row.input_tokens),
            cache_creation_tokens: to_count(row.cache_creation_tokens),
            cache_read_tokens: to_count(row.cache_read_tokens),
            output_tokens: to_count(row.output_tokens),
        },
        cost: Cost::from_nanos(row.cost_nanos),
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
    })
}

/// The stage that an event's particulars name.
fn stage_of(data: &Value) -> Option<StageKey> {
    let kind = data["stage"].as_str()?.parse().ok()?;
    Some(StageKey { kind, item: data["item"].as_str().unwrap_or_default().to_owned() })
}
