//! What messages are signed with: one newest secret of each webhook and one of each owner, and older ones for a while.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::super::{Store, Tx, after, commit, on};
use crate::error::StoreError;
use crate::webhook::{Rotated, WebhookId, WebhookPolicy, WebhookSecret};

/// Signatures of one message at most, however often a secret is rotated.
const MAX_SIGNATURES: i64 = 5;

impl Store {
    /// The newest default secret of an owner.
    pub(crate) async fn default_webhook_secret(&self, owner: Option<&str>) -> Result<WebhookSecret, StoreError> {
        let (mut tx, now) = self.begin().await?;
        ensure_default(&mut tx, owner, now).await?;
        let secret: String = on!(&mut tx, conn => {
            sqlx::query_scalar(
                "SELECT secret FROM webhook_secrets
                 WHERE webhook_id IS NULL AND COALESCE(owner, '') = COALESCE($1, '') AND expires_at IS NULL",
            )
            .bind(owner)
            .fetch_one(&mut **conn)
            .await?
        });
        commit(tx).await?;
        Ok(WebhookSecret(secret))
    }

    /// Makes a new default secret.
    pub(crate) async fn rotate_default_webhook_secret(
        &self,
        owner: Option<&str>,
        policy: &WebhookPolicy,
    ) -> Result<Rotated, StoreError> {
        let (mut tx, now) = self.begin().await?;
        ensure_default(&mut tx, owner, now).await?;
        let rotated = rotate(&mut tx, owner, None, now, policy).await?;
        commit(tx).await?;
        Ok(rotated)
    }

    /// Makes a new secret for a webhook.
    pub(crate) async fn rotate_webhook_secret(
        &self,
        owner: Option<&str>,
        id: WebhookId,
        policy: &WebhookPolicy,
    ) -> Result<Option<Rotated>, StoreError> {
        let (mut tx, now) = self.begin().await?;
        // That the row is locked puts rotations at the same time one after the other.
        let found: Option<Option<String>> = on!(&mut tx, conn => {
            sqlx::query_scalar(
                "UPDATE webhooks SET updated_at = $3
                 WHERE id = $1 AND kind = 'endpoint' AND deleted_at IS NULL AND ($2 IS NULL OR owner = $2)
                 RETURNING owner",
            )
            .bind(id.0)
            .bind(owner)
            .bind(now)
            .fetch_optional(&mut **conn)
            .await?
        });
        let Some(owner) = found else { return Ok(None) };
        let rotated = rotate(&mut tx, owner.as_deref(), Some(id), now, policy).await?;
        commit(tx).await?;
        Ok(Some(rotated))
    }
}

/// Makes sure that an owner has a default secret.
pub(super) async fn ensure_default(tx: &mut Tx, owner: Option<&str>, now: DateTime<Utc>) -> Result<(), StoreError> {
    add(tx, owner, None, &WebhookSecret::new(), now).await
}

/// Adds a secret, unless there is a newest one.
pub(super) async fn add(
    tx: &mut Tx,
    owner: Option<&str>,
    webhook_id: Option<WebhookId>,
    secret: &WebhookSecret,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    on!(tx, conn => {
        sqlx::query(
            "INSERT INTO webhook_secrets (id, owner, webhook_id, secret, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
        )
        .bind(Uuid::now_v7())
        .bind(owner)
        .bind(webhook_id.map(|id| id.0))
        .bind(secret.expose())
        .bind(now)
        .execute(&mut **conn)
        .await?;
    });
    Ok(())
}

async fn rotate(
    tx: &mut Tx,
    owner: Option<&str>,
    webhook_id: Option<WebhookId>,
    now: DateTime<Utc>,
    policy: &WebhookPolicy,
) -> Result<Rotated, StoreError> {
    let previous_expires_at = after(now, policy.secret_overlap);
    on!(&mut *tx, conn => {
        sqlx::query(
            "UPDATE webhook_secrets SET expires_at = $3
             WHERE expires_at IS NULL
               AND (webhook_id = $1 OR ($1 IS NULL AND webhook_id IS NULL AND COALESCE(owner, '') = COALESCE($2, '')))",
        )
        .bind(webhook_id.map(|id| id.0))
        .bind(owner)
        .bind(previous_expires_at)
        .execute(&mut **conn)
        .await?;
    });
    let secret = WebhookSecret::new();
    add(tx, owner, webhook_id, &secret, now).await?;
    Ok(Rotated { secret, previous_expires_at })
}

/// The secrets that are valid now, the newest first: the webhook's own, or its owner's default ones.
pub(super) async fn valid_secrets(
    tx: &mut Tx,
    owner: Option<&str>,
    webhook_id: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<Vec<WebhookSecret>, StoreError> {
    let secrets: Vec<String> = on!(tx, conn => {
        sqlx::query_scalar(
            "SELECT secret FROM webhook_secrets
             WHERE (webhook_id = $1 OR ($1 IS NULL AND webhook_id IS NULL AND COALESCE(owner, '') = COALESCE($2, '')))
               AND (expires_at IS NULL OR expires_at > $3)
             ORDER BY id DESC
             LIMIT $4",
        )
        .bind(webhook_id)
        .bind(owner)
        .bind(now)
        .bind(MAX_SIGNATURES)
        .fetch_all(&mut **conn)
        .await?
    });
    Ok(secrets.into_iter().map(WebhookSecret).collect())
}
