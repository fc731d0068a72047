//! How many requests a minute the holder of a key may send, and how the answers say so.
//!
//! The rates are counted in this process: behind n processes a key may do n times as much. What must hold over all of
//! them, such as jobs a day, is counted by the store.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use domain::KeyId;
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use jobs::{ApiKey, Limits, QuotaBound, QuotaExceeded};

use crate::error::ApiError;

/// Draft of the IETF's HTTPAPI group, draft-ietf-httpapi-ratelimit-headers-11: lists of policies, each a string with
/// parameters. `q` may be used in `w` seconds; `r` is left of it, and all of it is there again in `t` seconds.
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

const DAY_SECONDS: u32 = 86_400;

/// What kind of request it is. Each has a rate of its own, so that who makes many jobs can still look after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RatePolicy {
    /// Asks for work: a new job, or an old one again.
    Create,
    /// Anything else.
    Requests,
}

impl RatePolicy {
    /// The policy of a request to a route.
    pub(crate) fn of(method: &Method, route: &str) -> Self {
        match route {
            "/analyze" | "/analyze/" | "/jobs/{id}/retry" if method == Method::POST => Self::Create,
            _ => Self::Requests,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Requests => "requests",
        }
    }

    fn per_minute(self, limits: &Limits) -> Option<NonZeroU32> {
        NonZeroU32::new(match self {
            Self::Create => limits.creations_per_minute,
            Self::Requests => limits.requests_per_minute,
        })
    }
}

/// How a key stands with one policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) policy: RatePolicy,
    pub(crate) per_minute: NonZeroU32,
    remaining: u32,
}

impl Standing {
    /// Adds what it says to the headers of an answer.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let Self { policy, per_minute, remaining } = *self;
        let used = u64::from(per_minute.get().saturating_sub(remaining));
        let full_after = (used * 60).div_ceil(u64::from(per_minute.get()));
        let name = policy.as_str();
        append(headers, format!("\"{name}\";q={per_minute};w=60"), format!("\"{name}\";r={remaining};t={full_after}"));
    }
}

/// Says in the headers of an answer which quota is used up, if it is one over a time.
pub(crate) fn write_quota(exceeded: &QuotaExceeded, headers: &mut HeaderMap) {
    if let QuotaBound::JobsPerDay(jobs) = exceeded.bound {
        let (name, reset) = (quota_name(exceeded.bound), exceeded.retry_after.as_secs());
        append(headers, format!("\"{name}\";q={jobs};w={DAY_SECONDS}"), format!("\"{name}\";r=0;t={reset}"));
    }
}

/// The name of a quota in `violated-policies`.
pub(crate) fn quota_name(bound: QuotaBound) -> &'static str {
    match bound {
        QuotaBound::WaitingJobs(_) => "waiting-jobs",
        QuotaBound::QueuedJobs(_) => "queued-jobs",
        QuotaBound::JobsPerDay(_) => "jobs-per-day",
        QuotaBound::CostPerDay(_) => "usd-per-day",
    }
}

fn append(headers: &mut HeaderMap, policy: String, standing: String) {
    let value = |text: String| HeaderValue::try_from(text).expect("names and numbers are ASCII");
    headers.append(RATE_LIMIT_POLICY, value(policy));
    headers.append(RATE_LIMIT, value(standing));
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// The requests that holders of keys have sent lately. Only keys that are good have a bucket.
#[derive(Default)]
pub(crate) struct Rates {
    buckets: Mutex<HashMap<(KeyId, RatePolicy), Arc<Bucket>>>,
}

impl Rates {
    /// Counts a request. Gives how the key stands now; none when the policy has no bound.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] when the request is one too many: it is not counted then.
    pub(crate) fn count(
        &self,
        key: &ApiKey,
        limits: &Limits,
        policy: RatePolicy,
    ) -> Result<Option<Standing>, ApiError> {
        let Some(per_minute) = policy.per_minute(limits) else { return Ok(None) };
        let bucket = self.bucket(key.id, policy, per_minute);
        match bucket.check() {
            Ok(state) => Ok(Some(Standing { policy, per_minute, remaining: state.remaining_burst_capacity() })),
            Err(too_early) => {
                let wait = too_early.wait_time_from(bucket.clock().now());
                let standing = Standing { policy, per_minute, remaining: 0 };
                Err(ApiError::RateLimited { standing, retry_after: wait.max(Duration::from_secs(1)) })
            }
        }
    }

    fn bucket(&self, key: KeyId, policy: RatePolicy, per_minute: NonZeroU32) -> Arc<Bucket> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(RateLimiter::direct(Quota::per_minute(per_minute)).with_middleware());
        buckets.entry((key, policy)).or_insert_with(new).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers_of(remaining: u32) -> (String, String) {
        let mut headers = HeaderMap::new();
        let per_minute = NonZeroU32::new(60).expect("not 0");
        Standing { policy: RatePolicy::Create, per_minute, remaining }.write(&mut headers);
        let text = |name| headers[name].to_str().expect("text").to_owned();
        (text(&RATE_LIMIT_POLICY), text(&RATE_LIMIT))
    }

    #[test]
    fn headers_say_what_is_left_and_when_all_is_back() {
        assert_eq!(headers_of(59), ("\"create\";q=60;w=60".to_owned(), "\"create\";r=59;t=1".to_owned()));
        assert_eq!(headers_of(0).1, "\"create\";r=0;t=60");
    }

    #[test]
    fn only_what_asks_for_work_is_a_creation() {
        assert_eq!(RatePolicy::of(&Method::POST, "/analyze/"), RatePolicy::Create);
        assert_eq!(RatePolicy::of(&Method::POST, "/jobs/{id}/retry"), RatePolicy::Create);
        assert_eq!(RatePolicy::of(&Method::POST, "/jobs/{id}/cancel"), RatePolicy::Requests);
        assert_eq!(RatePolicy::of(&Method::GET, "/jobs/{id}"), RatePolicy::Requests);
    }
}
