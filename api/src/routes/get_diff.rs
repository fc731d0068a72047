//! `GET /jobs/{id}/diff`: the diff alone, as bytes that `git apply` takes.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::JobId;
use jobs::Job;

use super::{find_job, retry_after};
use crate::ApiState;
use crate::caller::{Caller, JobsRead};
use crate::error::ApiError;
use crate::etag::is_known;
use crate::path_of::PathOf;
use crate::wait::{Wait, wait_for_end};
use crate::wire::JobReceipt;

/// The media type of a diff.
pub(crate) const DIFF_TYPE: &str = "text/x-diff";

/// Answers 200 with the bytes, 202 with the job's receipt while there is no diff yet, 409 when there will be none. With
/// `Prefer: wait=n` it waits for the end of the job first.
///
/// The diff of a job that needed no change is empty.
#[utoipa::path(
    get,
    path = "/jobs/{id}/diff",
    tag = "jobs",
    summary = "Get the diff alone, for `git apply`",
    params(
        ("id" = JobId, Path, description = "The job."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the version that the client has."),
        ("Prefer" = Option<String>, Header, description = "`wait=n`: wait up to `n` seconds, 60 at most."),
    ),
    responses(
        (
            status = 200,
            description = "The diff; empty when no change was needed.",
            body = String,
            content_type = "text/x-diff",
            headers(
                ("Content-Disposition" = String, description = "A file name for it."),
                ("ETag" = String, description = "The version of what is answered, for `If-None-Match`."),
                ("Preference-Applied" = Option<String>, description = "`wait=n`; absent without `Prefer`."),
            ),
        ),
        (
            status = 202,
            description = "The job has not ended.",
            body = JobReceipt,
            headers(
                ("Retry-After" = i64, description = "When to ask again, in seconds."),
                ("Preference-Applied" = Option<String>, description = "`wait=n`; absent without `Prefer`."),
            ),
        ),
        (
            status = 304,
            description = "The client has this diff.",
            headers(
                ("ETag" = String, description = "The version of what is answered, for `If-None-Match`."),
                ("Preference-Applied" = Option<String>, description = "`wait=n`; absent without `Prefer`."),
            ),
        ),
    ),
    security(("key" = ["jobs:read"])),
    extensions(("x-problems" = json!(["no_diff", "purged"])))
)]
pub(crate) async fn get_diff(
    State(state): State<ApiState>,
    caller: Caller<JobsRead>,
    PathOf(id): PathOf<JobId>,
    request_headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut job = find_job(&state, &caller, id).await?;
    let wait = Wait::preferred(&request_headers);
    if let Some(wait) = wait {
        job = wait_for_end(&state, job, caller.owner(), wait.deadline()).await?;
    }
    let mut response = if job.status.is_terminal() {
        diff_of(&state, &job, &request_headers).await?
    } else {
        (StatusCode::ACCEPTED, [retry_after(&job)], Json(JobReceipt::new(&job))).into_response()
    };
    response.headers_mut().extend(wait.map(Wait::applied));
    Ok(response)
}

/// The diff of a job that has ended; its tag is the digest of its bytes.
pub(crate) async fn diff_of(state: &ApiState, job: &Job, request_headers: &HeaderMap) -> Result<Response, ApiError> {
    let Some(result) = &job.result else { return Err(ApiError::no_diff(job)) };
    let etag = format!("\"{}\"", result.receipt.patch_sha256);
    let headers = [
        (header::CONTENT_TYPE, DIFF_TYPE.to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"{}.diff\"", job.id)),
        (header::ETAG, etag.clone()),
    ];
    if is_known(request_headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [headers[2].clone()]).into_response());
    }
    let diff = state.jobs.diff(job.id).await?.unwrap_or_default();
    Ok((headers, diff).into_response())
}
