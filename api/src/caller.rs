//! Who sends a request, and what they may do.

use std::convert::Infallible;
use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// Something a caller may be allowed to do: a handler names it in the type of its [`Caller`].
pub(crate) trait Scope {
    /// The scope's name in a key and in an error.
    #[expect(dead_code, reason = "there are no keys yet")]
    const NAME: &'static str;
}

/// To see jobs.
pub(crate) struct JobsRead;

impl Scope for JobsRead {
    const NAME: &'static str = "jobs:read";
}

/// To create, cancel, retry and delete jobs.
pub(crate) struct JobsWrite;

impl Scope for JobsWrite {
    const NAME: &'static str = "jobs:write";
}

/// To register webhooks, and to see what was sent to them.
pub(crate) struct WebhooksWrite;

impl Scope for WebhooksWrite {
    const NAME: &'static str = "webhooks:write";
}

/// Whoever sent the request, after it has been made sure that they have the scope `S`.
///
/// A caller reaches nothing but what belongs to its owner: whatever else exists looks to them as if it did not.
pub(crate) struct Caller<S> {
    owner: Option<String>,
    scope: PhantomData<S>,
}

impl<S> Caller<S> {
    /// Whose jobs the caller may see and in whose name new ones are made; absent: the server is open, and everybody
    /// sees everything.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }
}

impl<S: Scope, T: Send + Sync> FromRequestParts<T> for Caller<S> {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &T) -> Result<Self, Self::Rejection> {
        Ok(Self { owner: None, scope: PhantomData })
    }
}
