//! `GET /jobs/{id}`: where a job stands, with its stages, and its result or its failure.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use domain::JobId;
use jobs::Job;
use tokio::time::Instant;

use super::{find_job, read_body, retry_after};
use crate::ApiState;
use crate::caller::{Caller, JobsRead};
use crate::error::ApiError;
use crate::etag::is_known;
use crate::path_of::PathOf;
use crate::wait::{Wait, wait_for_change, wait_for_end};
use crate::wire::JobBody;

/// Answers with the whole job, or with 304 when the client has this version of it; `Retry-After` says when to look
/// again, until the job has ended.
///
/// With `Prefer: wait=n` it answers as soon as there is another version than the client has, or, for a client that has
/// none, as soon as the job has ended; and in any case after `n` seconds.
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    tag = "jobs",
    summary = "See where a job stands",
    params(
        ("id" = JobId, Path, description = "The job."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the version that the client has."),
        ("Prefer" = Option<String>, Header, description = "`wait=n`: wait up to `n` seconds, 60 at most."),
    ),
    responses(
        (
            status = 200,
            description = "The job.",
            body = JobBody,
            headers(
                ("ETag" = String, description = "The version of what is answered, for `If-None-Match`."),
                ("Retry-After" = Option<i64>, description = "When to ask again, in seconds; absent once the job has ended."),
                ("Preference-Applied" = Option<String>, description = "`wait=n`; absent without `Prefer`."),
            ),
        ),
        (
            status = 304,
            description = "The client has this version.",
            headers(
                ("ETag" = String, description = "The version of what is answered, for `If-None-Match`."),
                ("Retry-After" = Option<i64>, description = "When to ask again, in seconds; absent once the job has ended."),
                ("Preference-Applied" = Option<String>, description = "`wait=n`; absent without `Prefer`."),
            ),
        ),
    ),
    security(("key" = ["jobs:read"])),
    extensions(("x-problems" = json!(["purged"])))
)]
pub(crate) async fn get_job(
    State(state): State<ApiState>,
    caller: Caller<JobsRead>,
    PathOf(id): PathOf<JobId>,
    request_headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut job = find_job(&state, &caller, id).await?;
    let wait = Wait::preferred(&request_headers);
    if let Some(wait) = wait {
        let (owner, deadline) = (caller.owner(), wait.deadline());
        job = if request_headers.contains_key(header::IF_NONE_MATCH) {
            wait_for_news(&state, job, owner, &request_headers, deadline).await?
        } else {
            wait_for_end(&state, job, owner, deadline).await?
        };
    }
    let etag = etag(&job);
    let retry_after = (!job.status.is_terminal()).then(|| retry_after(&job));
    let headers = (AppendHeaders(wait.map(Wait::applied)), AppendHeaders(retry_after), [(header::ETAG, etag.clone())]);
    if is_known(&request_headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let body = read_body(&state, &job).await?;
    Ok((headers, Json(body)).into_response())
}

/// Waits while the job is at a version that the client has.
async fn wait_for_news(
    state: &ApiState,
    mut job: Job,
    owner: Option<&str>,
    headers: &HeaderMap,
    deadline: Instant,
) -> Result<Job, ApiError> {
    while is_known(headers, &etag(&job)) && wait_for_change(state, job.id, job.version, deadline).await? {
        job = state.jobs.get_of(owner, job.id).await?.ok_or(ApiError::NO_SUCH_JOB)?;
    }
    Ok(job)
}

fn etag(job: &Job) -> String {
    format!("\"{}\"", job.version)
}
