//! `DELETE /jobs/{id}`: forgets what a job was about.

use axum::extract::State;
use axum::http::StatusCode;
use domain::JobId;
use jobs::Purge;

use crate::ApiState;
use crate::caller::{Caller, JobsWrite};
use crate::error::ApiError;
use crate::path_of::PathOf;

/// Answers 204 once the prompt, the repository's content, the model's answers and the diff are gone from every table, also
/// when they were before. A job that has not ended is canceled by it, without waiting for its worker.
#[utoipa::path(
    delete,
    path = "/jobs/{id}",
    tag = "jobs",
    summary = "Forget what a job was about",
    params(("id" = JobId, Path, description = "The job.")),
    responses((status = 204, description = "It is forgotten, now or before.")),
    security(("key" = ["jobs:write"]))
)]
pub(crate) async fn delete_job(
    State(state): State<ApiState>,
    caller: Caller<JobsWrite>,
    PathOf(id): PathOf<JobId>,
) -> Result<StatusCode, ApiError> {
    match state.jobs.purge(caller.owner(), id).await? {
        Purge::Purged => tracing::info!(job.id = %id, "Deleted job {id}"),
        Purge::AlreadyPurged => {}
        Purge::NotFound => return Err(ApiError::NO_SUCH_JOB),
    }
    Ok(StatusCode::NO_CONTENT)
}
