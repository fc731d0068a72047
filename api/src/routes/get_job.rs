//! `GET /jobs/{id}`: where a job stands, with its stages, and its result or its failure.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use domain::JobId;

use super::{find_job, read_body};
use crate::ApiState;
use crate::caller::{Caller, JobsRead};
use crate::error::ApiError;
use crate::path_of::PathOf;
use crate::wire::{JobBody, poll_after_seconds};

/// Answers with the whole job, or with 304 when the client has this version of it; `Retry-After` says when to look
/// again, until the job has ended.
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    tag = "jobs",
    summary = "See where a job stands",
    params(
        ("id" = JobId, Path, description = "The job."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the version that the client has."),
    ),
    responses(
        (
            status = 200,
            description = "The job.",
            body = JobBody,
            headers(
                ("ETag" = String, description = "The job's version."),
                ("Retry-After" = i64, description = "When to look again, in seconds; absent once the job has ended."),
            ),
        ),
        (
            status = 304,
            description = "The client has this version.",
            headers(("ETag" = String, description = "The job's version.")),
        ),
    )
)]
pub(crate) async fn get_job(
    State(state): State<ApiState>,
    caller: Caller<JobsRead>,
    PathOf(id): PathOf<JobId>,
    request_headers: HeaderMap,
) -> Result<Response, ApiError> {
    let job = find_job(&state, &caller, id).await?;
    let etag = format!("\"{}\"", job.version);
    let retry_after = (!job.status.is_terminal()).then(|| (header::RETRY_AFTER, poll_after_seconds(&job).to_string()));
    let headers = (AppendHeaders(retry_after), [(header::ETAG, etag.clone())]);
    if is_known(&request_headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let body = read_body(&state, &job).await?;
    Ok((headers, Json(body)).into_response())
}

/// Whether the client already has what the tag names (RFC 9110 §13.1.2: compared weakly).
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
