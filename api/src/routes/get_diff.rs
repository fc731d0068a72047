//! `GET /jobs/{id}/diff`: the diff alone, as bytes that `git apply` takes.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::JobId;
use jobs::Job;

use super::find_job;
use crate::ApiState;
use crate::caller::{Caller, JobsRead};
use crate::error::ApiError;
use crate::etag::is_known;
use crate::path_of::PathOf;
use crate::wait::{Wait, wait_for_end};
use crate::wire::{JobReceipt, poll_after_seconds};

/// The media type of a diff.
pub(crate) const DIFF_TYPE: &str = "text/x-diff";

/// Answers 200 with the bytes, 202 with the job's receipt while there is no diff yet, 409 when there will be none. With
/// `Prefer: wait=n` it waits for the end of the job first.
///
/// The diff of a job that needed no change is empty.
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
        let retry_after = [(header::RETRY_AFTER, poll_after_seconds(&job).to_string())];
        (StatusCode::ACCEPTED, retry_after, Json(JobReceipt::new(&job))).into_response()
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
