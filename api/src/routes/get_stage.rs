//! `GET /jobs/{id}/stages/{name}`: what one stage made, as it is stored.

use axum::Json;
use axum::extract::State;
use domain::JobId;
use serde_json::Value;

use super::{find_job, read_stage_key};
use crate::ApiState;
use crate::caller::{Caller, JobsRead};
use crate::error::ApiError;
use crate::path_of::PathOf;

/// Answers with the stored output; 404 also while the stage is not finished.
#[utoipa::path(
    get,
    path = "/jobs/{id}/stages/{name}",
    tag = "jobs",
    summary = "Get what a stage made",
    params(
        ("id" = JobId, Path, description = "The job."),
        ("name" = String, Path, description = "The stage, such as `plan`: the `name` that the job shows."),
    ),
    responses((status = 200, description = "The stage's output, as it is stored.", body = Value)),
    security(("key" = ["jobs:read"])),
    extensions(("x-problems" = json!(["purged"])))
)]
pub(crate) async fn get_stage(
    State(state): State<ApiState>,
    caller: Caller<JobsRead>,
    PathOf((id, name)): PathOf<(JobId, String)>,
) -> Result<Json<Value>, ApiError> {
    find_job(&state, &caller, id).await?;
    let key = read_stage_key(&name).ok_or(NO_SUCH_STAGE)?;
    let output = state.jobs.stage_output(id, &key).await?.ok_or(NO_SUCH_STAGE)?;
    Ok(Json(output))
}

const NO_SUCH_STAGE: ApiError = ApiError::NotFound("the job has no output of such a stage");
