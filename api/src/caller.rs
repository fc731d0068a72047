//! Who sends a request, and what they may do.

use std::marker::PhantomData;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use domain::KeyScope;
use jobs::Quota;

use crate::ApiState;
use crate::auth::Identity;
use crate::error::ApiError;

/// Something a caller may be allowed to do: a handler names it in the type of its [`Caller`].
pub(crate) trait Scope {
    /// The scope that a key must have.
    const SCOPE: KeyScope;
}

/// To see jobs.
pub(crate) struct JobsRead;

impl Scope for JobsRead {
    const SCOPE: KeyScope = KeyScope::JobsRead;
}

/// To create, cancel, retry and delete jobs.
pub(crate) struct JobsWrite;

impl Scope for JobsWrite {
    const SCOPE: KeyScope = KeyScope::JobsWrite;
}

/// To register webhooks, and to see what was sent to them.
pub(crate) struct WebhooksWrite;

impl Scope for WebhooksWrite {
    const SCOPE: KeyScope = KeyScope::WebhooksWrite;
}

/// To see what is counted, of all owners together.
pub(crate) struct MetricsRead;

impl Scope for MetricsRead {
    const SCOPE: KeyScope = KeyScope::MetricsRead;
}

/// To manage keys, of every owner.
pub(crate) struct Admin;

impl Scope for Admin {
    const SCOPE: KeyScope = KeyScope::Admin;
}

/// Whoever sent the request, after it has been made sure that they have the scope `S`.
///
/// A caller reaches nothing but what belongs to its owner: whatever else exists looks to them as if it did not.
pub(crate) struct Caller<S> {
    owner: Option<String>,
    quota: Option<Quota>,
    scope: PhantomData<S>,
}

impl<S> Caller<S> {
    /// Whose jobs the caller may see and in whose name new ones are made; absent: the server is open, and everybody
    /// sees everything.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// How much the caller's owner may ask for; absent: the server is open.
    pub(crate) fn quota(&self) -> Option<&Quota> {
        self.quota.as_ref()
    }
}

impl<S, T> FromRequestParts<T> for Caller<S>
where
    S: Scope,
    T: Send + Sync,
    ApiState: FromRef<T>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &T) -> Result<Self, Self::Rejection> {
        let identity = parts.extensions.get::<Identity>().expect("a route that names its caller is guarded");
        match identity {
            Identity::Anyone => Ok(Self { owner: None, quota: None, scope: PhantomData }),
            Identity::Holder(key) if !key.scopes.contains(&S::SCOPE) => Err(ApiError::InsufficientScope(S::SCOPE)),
            Identity::Holder(key) => {
                let limits = ApiState::from_ref(state).limits.with(&key.limits);
                Ok(Self { owner: Some(key.owner.clone()), quota: Some(limits.quota), scope: PhantomData })
            }
        }
    }
}
