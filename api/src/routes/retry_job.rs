//! `POST /jobs/{id}/retry`: runs a finished job again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use domain::{JobId, StageKey};
use jobs::{Retrial, Retry};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{find_job, read_body, read_stage_key, retry_after};
use crate::ApiState;
use crate::caller::{Caller, JobsWrite};
use crate::error::ApiError;
use crate::json_body::OptionalJsonBody;
use crate::openapi::StageText;
use crate::path_of::PathOf;
use crate::wire::{FieldError, JobBody};

/// Where to begin.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RetryJob {
    /// The first stage to be done anew; the first one that is not finished when absent.
    #[schema(value_type = Option<StageText>)]
    from_stage: Option<String>,
}

/// Answers 202 once the job waits for a worker again, also when it did so before; 409 while it has not ended.
#[utoipa::path(
    post,
    path = "/jobs/{id}/retry",
    tag = "jobs",
    summary = "Run a finished job again",
    params(("id" = JobId, Path, description = "The job.")),
    request_body = Option<RetryJob>,
    responses(
        (
            status = 202,
            description = "The job waits for a worker.",
            body = JobBody,
            headers(("Retry-After" = i64, description = "When to ask again, in seconds.")),
        ),
    ),
    security(("key" = ["jobs:write"])),
    extensions(("x-problems" = json!(["purged", "not_terminal", "quota_exceeded", "queue_full"])))
)]
pub(crate) async fn retry_job(
    State(state): State<ApiState>,
    caller: Caller<JobsWrite>,
    PathOf(id): PathOf<JobId>,
    OptionalJsonBody(request): OptionalJsonBody<RetryJob>,
) -> Result<impl IntoResponse, ApiError> {
    find_job(&state, &caller, id).await?;
    let from = request.from_stage.as_deref().map(read_from_stage).transpose()?;
    let trace_context = trace_context::current();
    let retry = Retry { from: from.as_ref(), quota: caller.quota(), trace_context: trace_context.as_deref() };
    match state.jobs.retry(id, retry).await? {
        Retrial::Queued => tracing::info!(job.id = %id, "Job {id} runs again"),
        Retrial::AlreadyRetried => {}
        Retrial::NotOver(status) => return Err(ApiError::NotTerminal(status)),
        Retrial::NotFound => return Err(ApiError::NO_SUCH_JOB),
    }
    let job = find_job(&state, &caller, id).await?;
    Ok((StatusCode::ACCEPTED, [retry_after(&job)], Json(read_body(&state, &job).await?)))
}

fn read_from_stage(name: &str) -> Result<StageKey, ApiError> {
    let error = || ApiError::Invalid(vec![FieldError::new("/fromStage", format!("`{name}` is no name of a stage"))]);
    read_stage_key(name).ok_or_else(error)
}
