//! `GET /jobs/{id}/diff`: the diff and nothing else, so that `curl … | git apply` works.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::JobId;

use super::find_job;
use crate::ApiState;
use crate::caller::{Caller, JobsRead};
use crate::error::ApiError;
use crate::path_of::PathOf;
use crate::wire::{JobReceipt, poll_after_seconds};

/// Answers 200 with the bytes, 202 with the job's receipt while there is no diff yet, 409 when there will be none.
///
/// The diff of a job that needed no change is empty.
#[utoipa::path(
    get,
    path = "/jobs/{id}/diff",
    tag = "jobs",
    summary = "Get the diff alone, for `git apply`",
    params(("id" = JobId, Path, description = "The job.")),
    responses(
        (
            status = 200,
            description = "The diff; empty when no change was needed.",
            body = String,
            content_type = "text/x-diff",
            headers(("Content-Disposition" = String, description = "A file name for it.")),
        ),
        (
            status = 202,
            description = "The job has not ended.",
            body = JobReceipt,
            headers(("Retry-After" = i64, description = "When to look again, in seconds.")),
        ),
        (status = 409, description = "`no_diff`: the job ended without one."),
    )
)]
pub(crate) async fn get_diff(
    State(state): State<ApiState>,
    caller: Caller<JobsRead>,
    PathOf(id): PathOf<JobId>,
) -> Result<Response, ApiError> {
    let job = find_job(&state, &caller, id).await?;
    if !job.status.is_terminal() {
        let retry_after = [(header::RETRY_AFTER, poll_after_seconds(&job).to_string())];
        return Ok((StatusCode::ACCEPTED, retry_after, Json(JobReceipt::new(&job))).into_response());
    }
    if job.result.is_none() {
        return Err(ApiError::NoDiff(job.status));
    }
    let diff = state.jobs.diff(id).await?.unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, "text/x-diff".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"{id}.diff\"")),
    ];
    Ok((headers, diff).into_response())
}
