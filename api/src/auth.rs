//! Which key a request comes with, and whether it needs one.
//!
//! The server is open, on the address it was allowed to listen on, until the first key is made. From then on every
//! request needs one, whatever becomes of the keys: a key that expires must not open the server to everybody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use chrono::{DateTime, Utc};
use domain::KeyId;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use jobs::{ApiKey, Authentication, Jobs, KeyToken};

use crate::error::ApiError;
use crate::wire::Timestamp;

/// How long what the store said about a key holds: a key that another process revokes stops within this time, and a
/// server whose first key another process makes is closed within it.
const FRESH: Duration = Duration::from_secs(1);

/// Keys that are remembered before those that have not been used for a while are forgotten.
const MAX_REMEMBERED: usize = 1_000;

/// Whoever sent a request.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// Anybody: the server is open.
    Anyone,
    /// Whoever holds this key.
    Holder(Arc<ApiKey>),
}

/// Why a request has no identity.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyProblem {
    #[error("this server needs an API key: send it as `Authorization: Bearer tg_…` (`tinygen keys create` makes one)")]
    Missing,
    #[error("the API key is not one of this server's")]
    Unknown,
    #[error("the API key expired at {}: use a new one", rfc3339(.0))]
    Expired(DateTime<Utc>),
    #[error("the API key was revoked at {}: use another one", rfc3339(.0))]
    Revoked(DateTime<Utc>),
}

/// What a request came with, to be looked at again while its answer goes on.
pub(crate) struct Credentials {
    keys: Arc<Authenticator>,
    headers: HeaderMap,
}

impl Credentials {
    /// Those of a request with these headers; of the headers only what is needed is kept.
    pub(crate) fn of(keys: &Arc<Authenticator>, headers: &HeaderMap) -> Self {
        let authorization = headers.get_all(header::AUTHORIZATION).iter();
        let headers = authorization.map(|value| (header::AUTHORIZATION, value.clone())).collect();
        Self { keys: keys.clone(), headers }
    }

    /// Whether they are still good. When the store is away nobody knows otherwise. Boxed, because thousands of streams
    /// would have room for it that they seldom need.
    pub(crate) fn are_good(&self) -> BoxFuture<'_, bool> {
        let identity = self.keys.identify(&self.headers);
        async { !matches!(identity.await, Err(ApiError::Unauthenticated(_))) }.boxed()
    }
}

/// Knows keys by asking the store, at most once a second for each.
pub(crate) struct Authenticator {
    jobs: Jobs,
    remembered: Mutex<HashMap<KeyId, Remembered>>,
    openness: Mutex<Openness>,
}

/// A key that was good a moment ago.
struct Remembered {
    sha256: [u8; 32],
    key: Arc<ApiKey>,
    since: Instant,
}

/// Whether requests need a key.
#[derive(Clone, Copy)]
enum Openness {
    /// Not by then; before the first look, there was no such moment.
    OpenAt(Option<Instant>),
    /// Yes, and for good.
    Closed,
}

impl Authenticator {
    pub(crate) fn new(jobs: Jobs) -> Self {
        Self { jobs, remembered: Mutex::default(), openness: Mutex::new(Openness::OpenAt(None)) }
    }

    /// Finds out who sent a request with these headers.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Identity, ApiError> {
        match bearer(headers) {
            Some(text) => {
                let token = KeyToken::parse(text).ok_or(KeyProblem::Unknown)?;
                Ok(Identity::Holder(self.key_of(&token).await?))
            }
            None if self.is_open().await? => Ok(Identity::Anyone),
            None => Err(KeyProblem::Missing.into()),
        }
    }

    /// Forgets a key: it was revoked.
    pub(crate) fn forget(&self, id: KeyId) {
        lock(&self.remembered).remove(&id);
    }

    /// Closes the server: there is a key.
    pub(crate) fn close(&self) {
        *lock(&self.openness) = Openness::Closed;
    }

    async fn key_of(&self, token: &KeyToken) -> Result<Arc<ApiKey>, ApiError> {
        if let Some(key) = self.remembered_key(token) {
            return Ok(key);
        }
        match self.jobs.authenticate(token).await? {
            Authentication::Valid(key) => Ok(self.remember(token, *key)),
            Authentication::Expired(at) => Err(KeyProblem::Expired(at).into()),
            Authentication::Revoked(at) => Err(KeyProblem::Revoked(at).into()),
            Authentication::Unknown => Err(KeyProblem::Unknown.into()),
        }
    }

    fn remembered_key(&self, token: &KeyToken) -> Option<Arc<ApiKey>> {
        let remembered = lock(&self.remembered);
        let known = remembered.get(&token.id()).filter(|known| known.since.elapsed() < FRESH)?;
        token.matches(&known.sha256).then(|| known.key.clone())
    }

    fn remember(&self, token: &KeyToken, key: ApiKey) -> Arc<ApiKey> {
        let key = Arc::new(key);
        let mut remembered = lock(&self.remembered);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, known| known.since.elapsed() < FRESH);
        }
        let known = Remembered { sha256: token.sha256(), key: key.clone(), since: Instant::now() };
        remembered.insert(token.id(), known);
        key
    }

    async fn is_open(&self) -> Result<bool, ApiError> {
        let known = *lock(&self.openness);
        match known {
            Openness::Closed => Ok(false),
            Openness::OpenAt(Some(since)) if since.elapsed() < FRESH => Ok(true),
            Openness::OpenAt(_) => {
                let looked_at = Instant::now();
                let has_keys = self.jobs.has_keys().await?;
                let mut openness = lock(&self.openness);
                // A key may have been made since the look: what is closed stays closed.
                if has_keys {
                    *openness = Openness::Closed;
                } else if let Openness::OpenAt(since) = &mut *openness {
                    *since = Some(looked_at);
                }
                Ok(matches!(*openness, Openness::OpenAt(_)))
            }
        }
    }
}

/// What stands in `Authorization: Bearer …` (RFC 6750 §2.1). Another scheme is somebody else's, a proxy's for one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::AUTHORIZATION).iter();
    let mut credentials = values.filter_map(|value| value.to_str().ok()?.split_once(' '));
    credentials.find(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn rfc3339(time: &DateTime<Utc>) -> String {
    Timestamp(*time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Option<String> {
        let headers: HeaderMap =
            values.iter().map(|value| (header::AUTHORIZATION, value.parse().expect("a value"))).collect();
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn reads_bearer_credentials_only() {
        assert_eq!(read(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(read(&["bearer  abc "]).as_deref(), Some("abc"));
        assert_eq!(read(&["Basic dTpw", "BEARER abc"]).as_deref(), Some("abc"));
        assert_eq!(read(&["Basic dTpw"]), None);
        assert_eq!(read(&["Bearer"]), None);
        assert_eq!(read(&[]), None);
    }
}
