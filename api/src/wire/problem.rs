//! Problem details (RFC 9457): one shape for the error of a request and for the failure of a job.

use std::fmt;

use axum::http::StatusCode;
use domain::{Failure, FailureCode};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong, for programs (`code`, `status`, `retryable`) and for people (`title`, `detail`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The kind of problem as a URN; it says the same as `code`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem, for people.
    pub title: &'static str,
    /// The HTTP status; of a job's failure, the one that fits best.
    pub status: u16,
    /// What happened this time and what to do.
    pub detail: String,
    /// The path of what has the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The kind of problem, for programs.
    pub code: &'static str,
    /// Whether the same request may well succeed later.
    pub retryable: bool,
    /// The attempt that failed; only in a job's failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The id of the request that had the problem, as in the logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Which field, as a JSON pointer (RFC 6901); empty for the whole body.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub detail: String,
    /// Which rule it breaks.
    #[serde(skip)]
    pub(crate) kind: FieldErrorKind,
}

/// Which rule a field breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldErrorKind {
    /// A rule of its own.
    Field,
    /// It is not the address of a repository.
    RepoUrl,
    /// It is the address of a host this server does not talk to.
    BlockedAddress,
}

impl FieldError {
    /// A field with a value it must not have.
    pub(crate) fn new(pointer: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { pointer: pointer.into(), detail: detail.to_string(), kind: FieldErrorKind::Field }
    }

    /// The code and title for all of them: the special one when every error has it.
    pub(crate) fn summarize(errors: &[Self]) -> (&'static str, &'static str) {
        let all_are = |kind| errors.iter().all(|error| error.kind == kind);
        if all_are(FieldErrorKind::RepoUrl) {
            ("unsupported_repo_url", "Unsupported repository URL")
        } else if all_are(FieldErrorKind::BlockedAddress) {
            ("blocked_address", title(FailureCode::BlockedAddress))
        } else {
            ("invalid_field", "Invalid field")
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.strip_prefix('/') {
            Some(field) => write!(f, "`{field}`: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

impl Problem {
    /// A problem that asking again does not solve.
    pub(crate) fn new(status: StatusCode, code: &'static str, title: &'static str, detail: String) -> Self {
        Self {
            kind: format!("urn:tinygen:problem:{}", code.replace('_', "-")),
            title,
            status: status.as_u16(),
            detail,
            instance: None,
            code,
            retryable: false,
            attempt: None,
            request_id: None,
            errors: Vec::new(),
        }
    }

    /// Why a job failed, at which attempt.
    pub(crate) fn from_failure(failure: &Failure, instance: String, attempt: u32) -> Self {
        let code = failure.code;
        Self {
            instance: Some(instance),
            retryable: code.is_retryable(),
            attempt: Some(attempt),
            ..Self::new(status(code), code.as_str(), title(code), failure.message.clone())
        }
    }

    pub(crate) fn with_errors(self, errors: Vec<FieldError>) -> Self {
        Self { errors, ..self }
    }

    pub(crate) fn with_retry(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// The HTTP status of the answer that carries the problem.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The HTTP status that says the same: 422 for what the caller can change, 5xx for what we or a service we use must.
fn status(code: FailureCode) -> StatusCode {
    match code {
        FailureCode::RepoNotFound
        | FailureCode::RepoAuthRequired
        | FailureCode::RepoEmpty
        | FailureCode::RefNotFound
        | FailureCode::RepoTooLarge
        | FailureCode::RepoUnsupported
        | FailureCode::BlockedAddress
        | FailureCode::ContextTooLarge
        | FailureCode::ModelInvalidRequest
        | FailureCode::ModelRefused
        | FailureCode::BudgetExceeded
        | FailureCode::DiffRejected => StatusCode::UNPROCESSABLE_ENTITY,
        FailureCode::RepoUnreachable
        | FailureCode::ModelUnreachable
        | FailureCode::ModelAuth
        | FailureCode::ModelOutputInvalid => StatusCode::BAD_GATEWAY,
        FailureCode::ModelOverloaded | FailureCode::ModelRateLimited => StatusCode::SERVICE_UNAVAILABLE,
        FailureCode::RepoTimeout | FailureCode::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        FailureCode::Poisoned | FailureCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn title(code: FailureCode) -> &'static str {
    match code {
        FailureCode::RepoNotFound => "Repository not found",
        FailureCode::RepoAuthRequired => "Repository needs credentials",
        FailureCode::RepoEmpty => "Repository is empty",
        FailureCode::RefNotFound => "Ref not found",
        FailureCode::RepoTooLarge => "Repository too large",
        FailureCode::RepoTimeout => "Repository timed out",
        FailureCode::RepoUnreachable => "Repository unreachable",
        FailureCode::RepoUnsupported => "Repository not supported",
        FailureCode::BlockedAddress => "Blocked address",
        FailureCode::ContextTooLarge => "Repository too large for the strategy",
        FailureCode::ModelAuth => "Model service refused the credentials",
        FailureCode::ModelInvalidRequest => "Model service refused the request",
        FailureCode::ModelOverloaded => "Model service overloaded",
        FailureCode::ModelRateLimited => "Model service limits the rate",
        FailureCode::ModelUnreachable => "Model service unreachable",
        FailureCode::ModelRefused => "Model declined the task",
        FailureCode::ModelOutputInvalid => "Model's answers not usable",
        FailureCode::BudgetExceeded => "Budget exceeded",
        FailureCode::DeadlineExceeded => "Deadline exceeded",
        FailureCode::DiffRejected => "Diff rejected",
        FailureCode::Poisoned => "Job took its workers down",
        FailureCode::Internal => "Internal error",
    }
}
