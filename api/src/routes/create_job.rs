//! `POST /analyze/`: takes a request, commits its row, answers with the job's id.
//!
//! `/analyze` is the same route, because `curl -d` does not follow a redirect. Whatever the client does after the row
//! is committed, the job goes its way.

use std::fmt;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use domain::{
    Cost, DEFAULT_TIMEOUT_SECONDS, Effort, GitRef, JobSpec, MAX_PROMPT_BYTES, MAX_TIMEOUT_SECONDS, ParseCostError,
    Priority, RepoUrl, Strategy,
};
use egress::Egress;
use jobs::NewJob;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::ApiState;
use crate::caller::{Caller, JobsWrite};
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::wire::{AUTO, FieldError, FieldErrorKind, JobReceipt, poll_after_seconds};

/// Longest model id, in bytes.
const MAX_MODEL_BYTES: usize = 128;

/// What a client asks for. Everything but the first two is optional; a field that is not here is refused, because a
/// misspelt one would pass silently.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateJob {
    /// Where the repository is: an `https://` address without credentials.
    repo_url: Option<String>,
    /// What should change, in the user's words; at most 32 KiB.
    prompt: Option<String>,
    /// Branch, tag or full commit id; the repository's default branch when absent.
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    /// Model id; the server's default when absent.
    model: Option<String>,
    /// How hard the model works: `low` to `max`; the model's own default when absent.
    effort: Option<String>,
    /// How the repository is shown to the model: `auto` (by its size) or the name of a strategy.
    strategy: Option<String>,
    /// The most the job may cost over all its attempts, in US dollars.
    max_cost_usd: Option<f64>,
    /// How urgent the job is: `low`, `normal` or `high`.
    priority: Option<String>,
    /// How long workers may work on the job, over all its attempts: up to a day; half an hour when absent.
    timeout_seconds: Option<u64>,
}

/// Answers 202 once the job's row is committed, and never before.
#[utoipa::path(
    post,
    path = "/analyze/",
    tag = "jobs",
    summary = "Ask for a change",
    request_body = CreateJob,
    responses(
        (
            status = 202,
            description = "The job is stored and will be worked on.",
            body = JobReceipt,
            headers(
                ("Location" = String, description = "The job."),
                ("Retry-After" = i64, description = "When to look at it, in seconds."),
            ),
        ),
        (status = 422, description = "`invalid_field`, `unsupported_repo_url` or `blocked_address`: see `errors`."),
    )
)]
pub(crate) async fn create_job(
    State(state): State<ApiState>,
    caller: Caller<JobsWrite>,
    JsonBody(request): JsonBody<CreateJob>,
) -> Result<impl IntoResponse, ApiError> {
    let spec = request.into_spec(&state.egress).map_err(ApiError::Invalid)?;
    let job = state.jobs.submit(NewJob { owner: caller.owner().map(str::to_owned), ..NewJob::from(spec) }).await?;
    tracing::info!(job.id = %job.id, "Accepted job {}", job.id);
    let receipt = JobReceipt::new(&job);
    let headers =
        [(header::LOCATION, receipt.links.own.clone()), (header::RETRY_AFTER, poll_after_seconds(&job).to_string())];
    Ok((StatusCode::ACCEPTED, headers, Json(receipt)))
}

impl CreateJob {
    /// Reads every field, and reports all that are wrong at once.
    fn into_spec(self, egress: &Egress) -> Result<JobSpec, Vec<FieldError>> {
        let mut errors = Vec::new();
        let repo_url = note(&mut errors, read_repo_url(self.repo_url, egress));
        let prompt = note(&mut errors, read_prompt(self.prompt));
        let git_ref = optional(&mut errors, "/ref", self.git_ref, |text| GitRef::parse(&text));
        let model = optional(&mut errors, "/model", self.model, read_model);
        let effort = optional(&mut errors, "/effort", self.effort, |text| text.parse::<Effort>());
        let strategy = optional(&mut errors, "/strategy", self.strategy, |text| read_strategy(&text)).flatten();
        let max_cost = optional(&mut errors, "/maxCostUsd", self.max_cost_usd, read_cost);
        let priority = optional(&mut errors, "/priority", self.priority, |text| text.parse::<Priority>());
        let timeout_seconds = optional(&mut errors, "/timeoutSeconds", self.timeout_seconds, read_timeout);
        let (Some(repo_url), Some(prompt), true) = (repo_url, prompt, errors.is_empty()) else { return Err(errors) };
        Ok(JobSpec {
            git_ref,
            model,
            effort,
            strategy,
            max_cost,
            priority: priority.unwrap_or_default(),
            timeout_seconds: timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS),
            ..JobSpec::new(repo_url, prompt)
        })
    }
}

fn note<T>(errors: &mut Vec<FieldError>, read: Result<T, FieldError>) -> Option<T> {
    read.map_err(|error| errors.push(error)).ok()
}

/// Reads a field that may be absent.
fn optional<V, T, E: fmt::Display>(
    errors: &mut Vec<FieldError>,
    pointer: &str,
    value: Option<V>,
    read: impl FnOnce(V) -> Result<T, E>,
) -> Option<T> {
    note(errors, read(value?).map_err(|error| FieldError::new(pointer, error)))
}

fn read_repo_url(text: Option<String>, egress: &Egress) -> Result<RepoUrl, FieldError> {
    let error = |kind, detail: String| FieldError { kind, ..FieldError::new("/repoUrl", detail) };
    let text = text.ok_or_else(|| error(FieldErrorKind::Field, "is required".to_owned()))?;
    let url = RepoUrl::parse(&text).map_err(|rule| error(FieldErrorKind::RepoUrl, rule.to_string()))?;
    egress.check(url.as_url()).map_err(|rule| error(FieldErrorKind::BlockedAddress, rule.to_string()))?;
    Ok(url)
}

fn read_prompt(text: Option<String>) -> Result<String, FieldError> {
    let error = |detail: String| FieldError::new("/prompt", detail);
    let text = text.ok_or_else(|| error("is required".to_owned()))?;
    if text.trim().is_empty() {
        return Err(error("must say what should change".to_owned()));
    }
    if text.len() > MAX_PROMPT_BYTES {
        return Err(error(format!("is longer than {MAX_PROMPT_BYTES} bytes")));
    }
    // PostgreSQL stores no text with it.
    if text.contains('\0') {
        return Err(error("must not hold the character U+0000".to_owned()));
    }
    Ok(text)
}

/// Which models there are is the model service's to say; here it only must look like an id.
fn read_model(text: String) -> Result<String, String> {
    let is_id = (1..=MAX_MODEL_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_id { Ok(text) } else { Err(format!("is not a model id: 1 to {MAX_MODEL_BYTES} visible ASCII characters")) }
}

fn read_strategy(text: &str) -> Result<Option<Strategy>, String> {
    if text == AUTO { Ok(None) } else { text.parse().map(Some).map_err(|error| format!("{error}, or {AUTO}")) }
}

fn read_timeout(seconds: u64) -> Result<u32, String> {
    let timeout = u32::try_from(seconds).ok().filter(|seconds| (1..=MAX_TIMEOUT_SECONDS).contains(seconds));
    timeout.ok_or_else(|| format!("must be 1 to {MAX_TIMEOUT_SECONDS}"))
}

/// Takes the number as it was written: the shortest decimal that reads as this float has the digits of the request.
fn read_cost(usd: f64) -> Result<Cost, String> {
    let cost: Cost = usd.to_string().parse().map_err(|error: ParseCostError| error.to_string())?;
    if cost == Cost::ZERO { Err("must be more than 0: every job costs something".to_owned()) } else { Ok(cost) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_taken_to_the_last_digit() {
        let nanos = |usd| read_cost(usd).map(Cost::as_nanos);
        assert_eq!(nanos(0.1), Ok(100_000_000));
        assert_eq!(nanos(0.000_000_001), Ok(1));
        assert_eq!(nanos(2.0), Ok(2_000_000_000));
        for bad in [0.0, -0.0, -1.0, 1e300, 1e-10, f64::NAN, f64::INFINITY] {
            assert!(nanos(bad).is_err(), "{bad}");
        }
    }
}
