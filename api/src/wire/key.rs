//! A key as the API shows it.

use domain::KeyScope;
use jobs::{ApiKey, KeyToken, LimitOverrides};
use serde::Serialize;
use utoipa::ToSchema;

use super::Timestamp;

/// A key, without its secret.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyBody {
    /// Its id.
    #[schema(format = Uuid)]
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Whose jobs it reaches.
    pub owner: String,
    /// What it may do.
    pub scopes: Vec<KeyScope>,
    /// The limits that are its own.
    pub limits: LimitsBody,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is worth nothing.
    #[schema(required)]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[schema(required)]
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    #[schema(required)]
    pub last_used_at: Option<Timestamp>,
}

/// A key at the moment it is made: the only time its text is shown. Not `Debug`, which would show it elsewhere.
#[derive(Clone, PartialEq, Serialize, ToSchema)]
pub struct NewKeyBody {
    /// The key as requests must send it.
    pub key: String,
    /// What else there is to know.
    #[serde(flatten)]
    pub about: KeyBody,
}

/// The limits that differ from the server's; 0 is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitsBody {
    /// Requests for work, a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, nullable = false)]
    pub creations_per_minute: Option<u32>,
    /// All other requests, a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, nullable = false)]
    pub requests_per_minute: Option<u32>,
    /// Jobs that wait for a worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub queued_jobs: Option<u64>,
    /// Jobs that run at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_jobs: Option<u64>,
    /// New jobs on one day (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub jobs_per_day: Option<u64>,
    /// Cost of the owner's jobs on one day (UTC), in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub usd_per_day: Option<f64>,
}

impl From<ApiKey> for KeyBody {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            owner: key.owner,
            scopes: key.scopes,
            limits: key.limits.into(),
            created_at: key.created_at.into(),
            expires_at: key.expires_at.map(Timestamp),
            revoked_at: key.revoked_at.map(Timestamp),
            last_used_at: key.last_used_at.map(Timestamp),
        }
    }
}

impl NewKeyBody {
    /// A key that was just made.
    pub fn new(key: ApiKey, token: &KeyToken) -> Self {
        Self { key: token.expose(), about: key.into() }
    }
}

impl From<LimitOverrides> for LimitsBody {
    fn from(limits: LimitOverrides) -> Self {
        Self {
            creations_per_minute: limits.creations_per_minute,
            requests_per_minute: limits.requests_per_minute,
            queued_jobs: limits.queued_jobs,
            running_jobs: limits.running_jobs,
            jobs_per_day: limits.jobs_per_day,
            usd_per_day: limits.cost_per_day.map(domain::Cost::as_usd),
        }
    }
}
