//! Why a request was not served, and the problem details the client gets.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::JobStatus;
use jobs::StoreError;

use crate::wire::{FieldError, Problem};

/// When to ask again after the storage failed, in seconds.
const STORAGE_RETRY_SECONDS: u16 = 5;

/// Why a request was not served: one variant per answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// There is no such thing here.
    #[error("{0}")]
    NotFound(&'static str),
    /// The route exists, but not with this method.
    #[error("this address does not take that method")]
    MethodNotAllowed,
    /// A web page of another origin sent the request.
    #[error("a web page of another origin must not use this server")]
    CrossOrigin,
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
    /// The job ended without a diff.
    #[error("the job {0} without a diff")]
    NoDiff(JobStatus),
    /// The job has not ended.
    #[error("the job is still {0}: only a job that has ended can be run again")]
    NotTerminal(JobStatus),
    /// Nothing is sent to a webhook that is disabled.
    #[error("the webhook is disabled: enable it first, with PATCH and {{\"enabled\":true}}")]
    WebhookDisabled,
    /// The owner has as many webhooks as there may be.
    #[error("there are {0} webhooks already: delete one that is not needed any more")]
    TooManyWebhooks(usize),
    /// The cursor is none that a list gave.
    #[error("the cursor does not come from `nextCursor` of this list")]
    BadCursor,
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

    fn problem(&self) -> Problem {
        let (status, code, title) = match self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found", "Not found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed"),
            Self::CrossOrigin => (StatusCode::FORBIDDEN, "cross_origin", "Cross-origin request"),
            Self::BodyTimeout(_) => (StatusCode::REQUEST_TIMEOUT, "request_timeout", "Request timeout"),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "Body too large"),
            Self::NotJson => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type"),
            Self::MalformedJson(_) => (StatusCode::BAD_REQUEST, "malformed_json", "Malformed JSON"),
            Self::Invalid(errors) => {
                let (code, title) = FieldError::summarize(errors);
                (StatusCode::UNPROCESSABLE_ENTITY, code, title)
            }
            Self::NoDiff(_) => (StatusCode::CONFLICT, "no_diff", "No diff"),
            Self::NotTerminal(_) => (StatusCode::CONFLICT, "not_terminal", "Job has not ended"),
            Self::WebhookDisabled => (StatusCode::CONFLICT, "webhook_disabled", "Webhook is disabled"),
            Self::TooManyWebhooks(_) => (StatusCode::CONFLICT, "too_many_webhooks", "Too many webhooks"),
            Self::BadCursor => (StatusCode::BAD_REQUEST, "bad_cursor", "Bad cursor"),
            Self::Storage(_) => (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable", "Storage unavailable"),
            Self::Damaged(_) | Self::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        };
        let problem = Problem::new(status, code, title, self.to_string());
        match self {
            Self::Invalid(errors) => problem.with_errors(errors.clone()),
            Self::Storage(_) | Self::BodyTimeout(_) => problem.with_retry(),
            _ => problem,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
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
        if let Self::Storage(_) = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(STORAGE_RETRY_SECONDS));
        }
        response.extensions_mut().insert(problem);
        response
    }
}

fn list(errors: &[FieldError]) -> String {
    errors.iter().map(FieldError::to_string).collect::<Vec<_>>().join("; ")
}
