//! Problem details (RFC 9457): one shape for the error of a request and for the failure of a job.

use std::fmt;

use axum::http::StatusCode;
use domain::{Failure, FailureCode, JobId, JobStatus};
use jobs::{AttemptFailure, Job};
use serde::Serialize;
use utoipa::ToSchema;

use super::error_code::is_listed;

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
    #[schema(nullable = false)]
    pub instance: Option<String>,
    /// The kind of problem, for programs.
    pub code: &'static str,
    /// Whether the same request may well succeed later.
    pub retryable: bool,
    /// The stage that failed; only in a job's failure, and not when it failed between two.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub stage: Option<String>,
    /// The attempt that failed; only in a job's failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub attempt: Option<u32>,
    /// The id of the request that had the problem, as in the logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
    /// What is wrong with which field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Which limits the request would break; the name is the one of draft-ietf-httpapi-ratelimit-headers-11.
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    pub violated_policies: Vec<&'static str>,
}

/// What is wrong with one part of a request: with a field of its body, a parameter of its query or a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Which field, as a JSON pointer (RFC 6901); empty for the whole body.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pointer: Option<String>,
    /// Which parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parameter: Option<String>,
    /// Which header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub header: Option<String>,
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
        Self { pointer: Some(pointer.into()), ..Self::nowhere(detail) }
    }

    /// A parameter of the query with a value it must not have.
    pub(crate) fn in_query(parameter: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { parameter: Some(parameter.into()), ..Self::nowhere(detail) }
    }

    /// A header with a value it must not have.
    pub(crate) fn in_header(header: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self { header: Some(header.into()), ..Self::nowhere(detail) }
    }

    /// Whether it is about something in this part of the body.
    pub(crate) fn is_within(&self, pointer: &str) -> bool {
        let inner = self.pointer.as_deref().and_then(|text| text.strip_prefix(pointer));
        inner.is_some_and(|rest| rest.starts_with('/'))
    }

    /// A mistake that belongs to no part in particular.
    pub(crate) fn nowhere(detail: impl fmt::Display) -> Self {
        let detail = detail.to_string();
        Self { pointer: None, parameter: None, header: None, detail, kind: FieldErrorKind::Field }
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
        let field = self.pointer.as_deref().and_then(|pointer| pointer.strip_prefix('/'));
        match field.or(self.parameter.as_deref()).or(self.header.as_deref()) {
            Some(name) => write!(f, "`{name}`: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

impl Problem {
    /// A problem that asking again does not solve.
    pub(crate) fn new(status: StatusCode, code: &'static str, title: &'static str, detail: String) -> Self {
        debug_assert!(is_listed(status, code), "{code} with {status} belongs into the table of error codes");
        Self {
            kind: format!("urn:tinygen:problem:{}", code.replace('_', "-")),
            title,
            status: status.as_u16(),
            detail,
            instance: None,
            code,
            retryable: false,
            stage: None,
            attempt: None,
            request_id: None,
            errors: Vec::new(),
            violated_policies: Vec::new(),
        }
    }

    /// Why a job failed, or why its last attempt did while it waits for the next one.
    pub(crate) fn of_job(job: &Job) -> Option<Self> {
        let waits = job.last_failure.as_ref().filter(|_| job.status == JobStatus::Queued);
        let (failure, attempt) = match (&job.failure, waits) {
            (Some(failure), _) => (failure, job.attempt),
            (None, Some(AttemptFailure { failure, attempt })) => (failure, *attempt),
            (None, None) => return None,
        };
        let stage = job.open_stage.as_ref().map(ToString::to_string);
        Some(Self { stage, ..Self::of_attempt(job.id, failure, attempt) })
    }

    /// Why an attempt of a job failed.
    pub(crate) fn of_attempt(job: JobId, failure: &Failure, attempt: u32) -> Self {
        let code = failure.code;
        Self {
            instance: Some(format!("/jobs/{job}")),
            retryable: code.is_retryable(),
            attempt: Some(attempt),
            ..Self::new(status(code), code.as_str(), title(code), failure.message.clone())
        }
    }

    pub(crate) fn with_errors(self, errors: Vec<FieldError>) -> Self {
        Self { errors, ..self }
    }

    pub(crate) fn with_violated(self, policy: &'static str) -> Self {
        Self { violated_policies: vec![policy], ..self }
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
pub(super) fn status(code: FailureCode) -> StatusCode {
    match code {
        FailureCode::RepoNotFound
        | FailureCode::RepoAuthRequired
        | FailureCode::RepoEmpty
        | FailureCode::RefNotFound
        | FailureCode::NoMatchingPaths
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
        FailureCode::NoMatchingPaths => "No matching paths",
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
