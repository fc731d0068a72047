//! API keys are made, looked up, listed and withdrawn. None is ever deleted.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{KeyId, KeyScope};
use sqlx::FromRow;
use uuid::Uuid;

use super::rows::{from_json, to_json};
use super::{Store, after, commit, on};
use crate::error::StoreError;
use crate::key::{ApiKey, Authentication, KeyToken, NewKey};

/// The last use of a key is written down at most this often.
const USE_INTERVAL: TimeDelta = TimeDelta::minutes(1);

#[derive(FromRow)]
struct KeyRow {
    id: Uuid,
    name: String,
    owner: String,
    scopes: String,
    limits: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
}

/// A key with what is stored of its secret.
#[derive(FromRow)]
struct SecretKeyRow {
    secret_sha256: Vec<u8>,
    #[sqlx(flatten)]
    key: KeyRow,
}

impl Store {
    /// Stores a new key. The token that it gives is nowhere else.
    pub(crate) async fn create_key(&self, key: NewKey) -> Result<(ApiKey, KeyToken), StoreError> {
        let id = KeyId::new();
        let token = KeyToken::new(id);
        let NewKey(draft) = key;
        let (mut tx, now) = self.begin().await?;
        let key = ApiKey {
            id,
            name: draft.name,
            owner: draft.owner.unwrap_or_else(|| id.to_string()),
            scopes: draft.scopes,
            limits: draft.limits,
            created_at: now,
            expires_at: draft.lifetime.map(|lifetime| after(now, lifetime)),
            revoked_at: None,
            last_used_at: None,
        };
        on!(&mut tx, conn => {
            sqlx::query(
                "INSERT INTO api_keys (id, name, owner, scopes, secret_sha256, limits, created_at, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(id.as_uuid())
            .bind(&key.name)
            .bind(&key.owner)
            .bind(key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" "))
            .bind(token.sha256().to_vec())
            .bind(to_json(&key.limits))
            .bind(key.created_at)
            .bind(key.expires_at)
            .execute(&mut **conn)
            .await?;
        });
        commit(tx).await?;
        Ok((key, token))
    }

    /// What a key is worth. What is no key is found out by one read; only the use of a good one is written down.
    pub(crate) async fn authenticate(&self, token: &KeyToken) -> Result<Authentication, StoreError> {
        let row: Option<SecretKeyRow> = on!(&self.read, pool => {
            sqlx::query_as(
                "SELECT secret_sha256, id, name, owner, scopes, limits, created_at, expires_at, revoked_at, last_used_at
                 FROM api_keys
                 WHERE id = $1",
            )
            .bind(token.id().as_uuid())
            .fetch_optional(pool)
            .await?
        });
        let Some(row) = row.filter(|row| token.matches(&row.secret_sha256)) else {
            return Ok(Authentication::Unknown);
        };
        let key = ApiKey::try_from(row.key)?;
        if let Some(revoked_at) = key.revoked_at {
            return Ok(Authentication::Revoked(revoked_at));
        }
        let (mut tx, now) = self.begin().await?;
        if let Some(expires_at) = key.expires_at.filter(|expires_at| *expires_at <= now) {
            return Ok(Authentication::Expired(expires_at));
        }
        if key.last_used_at.is_none_or(|last_used_at| last_used_at + USE_INTERVAL <= now) {
            on!(&mut tx, conn => {
                sqlx::query("UPDATE api_keys SET last_used_at = $2 WHERE id = $1")
                    .bind(key.id.as_uuid())
                    .bind(now)
                    .execute(&mut **conn)
                    .await?;
            });
            commit(tx).await?;
        }
        Ok(Authentication::Valid(Box::new(key)))
    }

    /// Every key, the oldest first.
    pub(crate) async fn keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows: Vec<KeyRow> = on!(&self.read, pool => {
            sqlx::query_as(
                "SELECT id, name, owner, scopes, limits, created_at, expires_at, revoked_at, last_used_at
                 FROM api_keys
                 ORDER BY created_at, id",
            )
            .fetch_all(pool)
            .await?
        });
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    /// Whether a key was ever made, whatever became of it.
    pub(crate) async fn has_keys(&self) -> Result<bool, StoreError> {
        Ok(on!(&self.read, pool => {
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM api_keys)").fetch_one(pool).await?
        }))
    }

    /// Withdraws a key; false when there is none. Withdrawing it twice is the same as once.
    pub(crate) async fn revoke_key(&self, id: KeyId) -> Result<bool, StoreError> {
        let (mut tx, now) = self.begin().await?;
        let found = on!(&mut tx, conn => {
            sqlx::query("UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1")
                .bind(id.as_uuid())
                .bind(now)
                .execute(&mut **conn)
                .await?
                .rows_affected()
        });
        commit(tx).await?;
        Ok(found > 0)
    }
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, Self::Error> {
        let scopes = row.scopes.split(' ').map(str::parse::<KeyScope>).collect::<Result<_, _>>();
        Ok(Self {
            id: KeyId::from(row.id),
            name: row.name,
            owner: row.owner,
            scopes: scopes.map_err(StoreError::damaged("scope"))?,
            limits: from_json("limits of a key", &row.limits)?,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
        })
    }
}
