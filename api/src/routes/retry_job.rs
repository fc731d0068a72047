//! `POST /jobs/{id}/retry`: runs a finished job again.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::{JobId, StageKey};
use jobs::{Retrial, Retry};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{find_job, read_body, read_stage_key, retry_after};
use crate::ApiState;
use crate::caller::{Caller, JobsWrite};
use crate::error::ApiError;
use crate::idempotency::{self, IDEMPOTENT_REPLAYED};
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

/// Answers 202 once the job waits for a worker again, also when the same request made it wait before; 409 while it has not
/// ended. A request with an `Idempotency-Key` that is sent again runs the job no second time, even if it has ended since.
#[utoipa::path(
    post,
    path = "/jobs/{id}/retry",
    tag = "jobs",
    summary = "Run a finished job again",
    params(
        ("id" = JobId, Path, description = "The job."),
        (
            "Idempotency-Key" = Option<String>,
            Header,
            pattern = r#"^([!#-~][!-~]{0,254}|"([!#-\[\]-~]|\\["\\]){1,255}")$"#,
            description = "The client's name for the request; the one of the job's last retry is remembered.",
        ),
    ),
    request_body = Option<RetryJob>,
    responses(
        (
            status = 202,
            description = "The job waits for a worker; or it did, if the request was sent before.",
            body = JobBody,
            headers(
                ("Retry-After" = i64, description = "When to ask again, in seconds."),
                ("Idempotent-Replayed" = Option<bool>, description = "`true` when the request was sent before."),
            ),
        ),
    ),
    security(("key" = ["jobs:write"])),
    extensions(("x-problems" = json!([
        "invalid_header", "idempotency_key_reused", "purged", "not_terminal", "quota_exceeded", "queue_full",
    ])))
)]
pub(crate) async fn retry_job(
    State(state): State<ApiState>,
    caller: Caller<JobsWrite>,
    PathOf(id): PathOf<JobId>,
    headers: HeaderMap,
    OptionalJsonBody(request): OptionalJsonBody<RetryJob>,
) -> Result<Response, ApiError> {
    find_job(&state, &caller, id).await?;
    let idempotency = idempotency::of(&headers, &json!({ "fromStage": request.from_stage }))?;
    let from = request.from_stage.as_deref().map(read_from_stage).transpose()?;
    let trace_context = trace_context::current();
    let retry = Retry {
        from: from.as_ref(),
        quota: caller.quota(),
        trace_context: trace_context.as_deref(),
        idempotency: idempotency.as_ref(),
    };
    let retrial = state.jobs.retry(id, retry).await?;
    match retrial {
        Retrial::Queued => tracing::info!(job.id = %id, "Job {id} runs again"),
        Retrial::AlreadyRetried | Retrial::Replayed => {}
        Retrial::KeyReused => return Err(ApiError::KeyReused),
        Retrial::NotOver(status) => return Err(ApiError::NotTerminal(status)),
        Retrial::NotFound => return Err(ApiError::NO_SUCH_JOB),
    }
    let job = find_job(&state, &caller, id).await?;
    let body = Json(read_body(&state, &job).await?);
    let mut response = (StatusCode::ACCEPTED, [retry_after(&job)], body).into_response();
    if retrial == Retrial::Replayed {
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn read_from_stage(name: &str) -> Result<StageKey, ApiError> {
    let error = || ApiError::Invalid(vec![FieldError::new("/fromStage", format!("`{name}` is no name of a stage"))]);
    read_stage_key(name).ok_or_else(error)
}
