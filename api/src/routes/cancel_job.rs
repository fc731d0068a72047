//! `POST /jobs/{id}/cancel`: asks for the end of a job.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{AppendHeaders, IntoResponse};
use domain::JobId;
use jobs::Cancellation;

use super::{find_job, read_body, retry_after};
use crate::ApiState;
use crate::caller::{Caller, JobsWrite};
use crate::error::ApiError;
use crate::path_of::PathOf;
use crate::wire::JobBody;

/// Answers 200 with the job when it is over, and 202 while its worker still has to stop. Asking again is no error.
#[utoipa::path(
    post,
    path = "/jobs/{id}/cancel",
    tag = "jobs",
    summary = "Ask for the end of a job",
    params(("id" = JobId, Path, description = "The job.")),
    responses(
        (status = 200, description = "The job is over.", body = JobBody),
        (
            status = 202,
            description = "Its worker still has to stop.",
            body = JobBody,
            headers(("Retry-After" = i64, description = "When to ask again, in seconds.")),
        ),
    ),
    security(("key" = ["jobs:write"])),
    extensions(("x-problems" = json!(["purged"])))
)]
pub(crate) async fn cancel_job(
    State(state): State<ApiState>,
    caller: Caller<JobsWrite>,
    PathOf(id): PathOf<JobId>,
) -> Result<impl IntoResponse, ApiError> {
    find_job(&state, &caller, id).await?;
    let cancellation = state.jobs.cancel(id).await?;
    if cancellation == Cancellation::NotFound {
        return Err(ApiError::NO_SUCH_JOB);
    }
    tracing::info!(job.id = %id, ?cancellation, "Somebody asked for the end of job {id}");
    let job = find_job(&state, &caller, id).await?;
    // The worker may have stopped meanwhile: what is answered is what the body says.
    let status = if job.status.is_terminal() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let retry_after = (!job.status.is_terminal()).then(|| retry_after(&job));
    Ok((status, AppendHeaders(retry_after), Json(read_body(&state, &job).await?)))
}
