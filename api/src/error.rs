//! Why a request was not served, and the problem details the client gets.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{Failure, JobStatus, KeyScope};
use jobs::{Job, QuotaBound, QuotaExceeded, StoreError};

use crate::auth::KeyProblem;
use crate::limits::{Standing, quota_name, write_quota};
use crate::wire::{FieldError, Problem};

/// When to ask again after the storage failed, or there was no room, in seconds.
const RETRY_SECONDS: u16 = 5;

/// Why a request was not served: one variant per answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// There is no such thing here.
    #[error("{0}")]
    NotFound(&'static str),
    /// The route exists, but not with this method.
    #[error("this address does not take that method")]
    MethodNotAllowed,
    /// No key came with the request, or one that is worth nothing.
    #[error(transparent)]
    Unauthenticated(#[from] KeyProblem),
    /// The key is good, but not for this.
    #[error("the API key lacks the scope `{0}`: use one that has it")]
    InsufficientScope(KeyScope),
    /// The key was used too often within a minute.
    #[error("the key may send {} requests a minute of the kind `{}`", .standing.per_minute, .standing.policy.as_str())]
    RateLimited {
        /// How the key stands.
        standing: Standing,
        /// When the next request has a chance.
        retry_after: Duration,
    },
    /// There would be too many jobs, or they would cost too much.
    #[error(transparent)]
    QuotaExceeded(QuotaExceeded),
    /// A web page of another origin sent the request.
    #[error("a web page of another origin must not use this server")]
    CrossOrigin,
    /// The request was sent to a name that is not this machine's own.
    #[error(
        "without an API key this server answers to an address or `localhost` in `Host` only, so that no web page can \
         use it under a name of its own: ask for it by its address, or make a key (`tinygen keys create`), or set \
         TINYGEN_NO_AUTH=1"
    )]
    ForeignHost,
    /// The body did not come in time.
    #[error("the body did not arrive within {0} s")]
    BodyTimeout(u64),
    /// The body is more than a request may have.
    #[error("the body is larger than {0} bytes")]
    BodyTooLarge(usize),
    /// The body is something else than JSON.
    #[error("the body must be a JSON object")]
    NotJson,
    /// The body is not JSON although it should be.
    #[error("the body is not valid JSON: {0}")]
    MalformedJson(String),
    /// The body is JSON but does not say what it must.
    #[error("{}", list(.0))]
    Invalid(Vec<FieldError>),
    /// The client says that it has an event which the job does not have.
    #[error("`Last-Event-ID` {0}")]
    BadLastEventId(String),
    /// The client takes none of the forms that there are.
    #[error("there is nothing here that `Accept` takes: ask for {}", .0.join(" or "))]
    NotAcceptable(&'static [&'static str]),
    /// There is no room for another stream.
    #[error("too many streams of events are open on this server: poll the job, or try again later")]
    TooManyStreams,
    /// The query asks for what there is not.
    #[error("{}", list(.0))]
    InvalidQuery(Vec<FieldError>),
    /// A header says what it must not.
    #[error("{0}")]
    InvalidHeader(FieldError),
    /// The place in the list is none of ours.
    #[error("the cursor does not read: take `nextCursor` as it is, or begin without a cursor")]
    BadCursor,
    /// The request's name belongs to another request.
    #[error("the Idempotency-Key was used for another request within the last 24 hours: choose another key")]
    KeyReused,
    /// The job was there, but what it was about is deleted.
    #[error("the job was deleted, or it was older than jobs are kept")]
    Purged,
    /// The job ended without a diff.
    #[error("the job {status} without a diff{}", .reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    NoDiff {
        /// How it ended.
        status: JobStatus,
        /// Why it failed, if it did.
        reason: Option<Failure>,
    },
    /// The job has not ended.
    #[error("the job is still {0}: only a job that has ended can be run again")]
    NotTerminal(JobStatus),
    /// Nothing is sent to a webhook that is disabled.
    #[error("the webhook is disabled: enable it first, with PATCH and {{\"enabled\":true}}")]
    WebhookDisabled,
    /// The owner has as many webhooks as there may be.
    #[error("there are {0} webhooks already: delete one that is not needed any more")]
    TooManyWebhooks(usize),
    /// The store did not do as asked, perhaps only for now.
    #[error("the job store is not available")]
    Storage(#[source] StoreError),
    /// What is stored cannot be used: asking again does not help.
    #[error("the job cannot be read from the store; the reason is logged under this request's id")]
    Damaged(#[source] StoreError),
    /// A defect in tinygen.
    #[error("the server failed to answer; the defect is logged under this request's id")]
    Panicked,
}

impl ApiError {
    /// No job has this id, or the text is not an id at all.
    pub(crate) const NO_SUCH_JOB: Self = Self::NotFound("there is no such job");

    /// The job has ended and has no result.
    pub(crate) fn no_diff(job: &Job) -> Self {
        Self::NoDiff { status: job.status, reason: job.failure.clone() }
    }

    fn problem(&self) -> Problem {
        let (status, code, title) = match self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found", "Not found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed"),
            Self::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "unauthenticated", "No valid API key"),
            Self::InsufficientScope(_) => (StatusCode::FORBIDDEN, "insufficient_scope", "Insufficient scope"),
            Self::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many requests"),
            Self::QuotaExceeded(exceeded) => match exceeded.bound {
                QuotaBound::WaitingJobs(_) | QuotaBound::QueuedJobs(_) => {
                    (StatusCode::TOO_MANY_REQUESTS, "queue_full", "Queue full")
                }
                QuotaBound::JobsPerDay(_) | QuotaBound::CostPerDay(_) => {
                    (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", "Quota exceeded")
                }
            },
            Self::CrossOrigin => (StatusCode::FORBIDDEN, "cross_origin", "Cross-origin request"),
            Self::ForeignHost => (StatusCode::FORBIDDEN, "foreign_host", "Foreign host"),
            Self::BodyTimeout(_) => (StatusCode::REQUEST_TIMEOUT, "request_timeout", "Request timeout"),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "Body too large"),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type"),
            Self::MalformedJson(_) => (StatusCode::BAD_REQUEST, "malformed_json", "Malformed JSON"),
            Self::Invalid(errors) => {
                let (code, title) = FieldError::summarize(errors);
                (StatusCode::UNPROCESSABLE_ENTITY, code, title)
            }
            Self::BadLastEventId(_) => (StatusCode::BAD_REQUEST, "bad_last_event_id", "Bad Last-Event-ID"),
            Self::NotAcceptable(_) => (StatusCode::NOT_ACCEPTABLE, "not_acceptable", "Not acceptable"),
            Self::TooManyStreams => (StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", "Too many streams"),
            Self::InvalidQuery(_) => (StatusCode::BAD_REQUEST, "invalid_parameter", "Invalid parameter"),
            Self::InvalidHeader(_) => (StatusCode::BAD_REQUEST, "invalid_header", "Invalid header"),
            Self::BadCursor => (StatusCode::BAD_REQUEST, "bad_cursor", "Bad cursor"),
            Self::KeyReused => {
                (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "Idempotency key used before")
            }
            Self::Purged => (StatusCode::GONE, "purged", "Job deleted"),
            Self::NoDiff { .. } => (StatusCode::CONFLICT, "no_diff", "No diff"),
            Self::NotTerminal(_) => (StatusCode::CONFLICT, "not_terminal", "Job has not ended"),
            Self::WebhookDisabled => (StatusCode::CONFLICT, "webhook_disabled", "Webhook is disabled"),
            Self::TooManyWebhooks(_) => (StatusCode::CONFLICT, "too_many_webhooks", "Too many webhooks"),
            Self::Storage(_) => (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable", "Storage unavailable"),
            Self::Damaged(_) | Self::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        };
        let problem = Problem::new(status, code, title, self.to_string());
        match self {
            Self::Invalid(errors) | Self::InvalidQuery(errors) => problem.with_errors(errors.clone()),
            Self::InvalidHeader(error) => problem.with_errors(vec![error.clone()]),
            Self::Storage(_) | Self::BodyTimeout(_) | Self::TooManyStreams => problem.with_retry(),
            Self::RateLimited { standing, .. } => problem.with_retry().with_violated(standing.policy.as_str()),
            Self::QuotaExceeded(exceeded) => problem.with_retry().with_violated(quota_name(exceeded.bound)),
            _ => problem,
        }
    }

    /// What the answer's headers say beside the problem.
    fn write_headers(&self, headers: &mut HeaderMap) {
        match self {
            Self::Storage(_) | Self::TooManyStreams => put(headers, header::RETRY_AFTER, RETRY_SECONDS.to_string()),
            Self::RateLimited { standing, retry_after } => {
                put(headers, header::RETRY_AFTER, seconds(*retry_after));
                standing.write(headers);
            }
            Self::QuotaExceeded(exceeded) => {
                put(headers, header::RETRY_AFTER, seconds(exceeded.retry_after));
                write_quota(exceeded, headers);
            }
            // RFC 6750 §3: without credentials no error is named.
            Self::Unauthenticated(KeyProblem::Missing) => put(headers, header::WWW_AUTHENTICATE, "Bearer".to_owned()),
            Self::Unauthenticated(_) => {
                put(headers, header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"".to_owned());
            }
            Self::InsufficientScope(scope) => {
                let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
                put(headers, header::WWW_AUTHENTICATE, challenge);
            }
            _ => {}
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::QuotaExceeded(exceeded) => Self::QuotaExceeded(exceeded),
            StoreError::Purged => Self::Purged,
            StoreError::Unavailable(_) | StoreError::Database(_) => Self::Storage(error),
            _ => Self::Damaged(error),
        }
    }
}

/// The answer's status, headers and [`Problem`]; `observe` adds what the request knows and writes the body.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Storage(error) | Self::Damaged(error) = &self {
            tracing::error!(error = error as &dyn std::error::Error, "The job store failed");
        }
        let problem = self.problem();
        let mut response = problem.status().into_response();
        self.write_headers(response.headers_mut());
        response.extensions_mut().insert(problem);
        response
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: String) {
    headers.insert(name, HeaderValue::try_from(value).expect("what we write is ASCII"));
}

/// Whole seconds, rounded up: asking a moment too early would be in vain.
fn seconds(duration: Duration) -> String {
    duration.as_millis().div_ceil(1_000).to_string()
}

fn list(errors: &[FieldError]) -> String {
    errors.iter().map(FieldError::to_string).collect::<Vec<_>>().join("; ")
}
