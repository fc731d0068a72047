//! An API key: its name, and what whoever holds it may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ParseNameError;

/// The name of an API key: a UUID v7 (RFC 9562). No secret: it may be shown and logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Uuid);

impl KeyId {
    /// Makes a new id, later than every id this process made before.
    #[expect(clippy::new_without_default, reason = "a new id is a side effect, not a default value")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id as the databases bind it.
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for KeyId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for KeyId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(text).map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Something that the holder of a key may do. None includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum KeyScope {
    /// To see the owner's jobs.
    #[serde(rename = "jobs:read")]
    JobsRead,
    /// To create, cancel, retry and delete the owner's jobs.
    #[serde(rename = "jobs:write")]
    JobsWrite,
    /// To manage the owner's webhooks.
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
    /// To see how much there is to do and what was counted, of all owners together.
    #[serde(rename = "metrics:read")]
    MetricsRead,
    /// To manage keys, of every owner.
    #[serde(rename = "admin")]
    Admin,
}

impl KeyScope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::JobsRead, Self::JobsWrite, Self::WebhooksWrite, Self::MetricsRead, Self::Admin];

    /// What a key may do that names no scope: everything within its owner's own.
    pub const DEFAULT: [Self; 3] = [Self::JobsRead, Self::JobsWrite, Self::WebhooksWrite];

    /// The name used in SQL, JSON, on the command line and in `WWW-Authenticate`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JobsRead => "jobs:read",
            Self::JobsWrite => "jobs:write",
            Self::WebhooksWrite => "webhooks:write",
            Self::MetricsRead => "metrics:read",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyScope {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ParseNameError::find("scope", &Self::ALL, Self::as_str, text)
    }
}
