//! `POST /analyze/`: takes a request, commits its row, answers with the job's id.
//!
//! `/analyze` is the same route, because `curl -d` does not follow a redirect. Whatever the client does after the row
//! is committed, the job goes its way.

mod request;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jobs::{Job, NewJob, Submission};
use serde_json::Value;

use self::request::CreateJob;
use super::get_diff::{DIFF_TYPE, diff_of};
use super::{read_body, retry_after};
use crate::ApiState;
use crate::caller::{Caller, JobsWrite};
use crate::error::ApiError;
use crate::idempotency::{self, IDEMPOTENT_REPLAYED};
use crate::json_body::JsonBody;
use crate::wait::{Wait, wait_for_end};
use crate::wire::{FieldError, JobBody, JobReceipt};

/// Answers 202 once the job's row is committed, and never before.
///
/// With `Prefer: wait=n` it waits for the end of the job, and answers 200 with the job, or with what `GET` of its diff
/// would say to a client that accepts `text/x-diff`. A request with an `Idempotency-Key` that is sent again gets the same
/// answer for the same job, as it stands by then.
#[utoipa::path(
    post,
    path = "/analyze/",
    tag = "jobs",
    summary = "Ask for a change",
    params(
        (
            "Idempotency-Key" = Option<String>,
            Header,
            pattern = r#"^([!#-~][!-~]{0,254}|"([!#-\[\]-~]|\\["\\]){1,255}")$"#,
            description = "The client's name for the request: sent again within 24 hours, it finds the same job.",
        ),
        ("Prefer" = Option<String>, Header, description = "`wait=n`: wait up to `n` seconds, 60 at most."),
    ),
    request_body = CreateJob,
    responses(
        (
            status = 200,
            description = "After `Prefer: wait`: the job has ended. As its diff when `Accept` names `text/x-diff`.",
            content((JobBody = "application/json"), (String = "text/x-diff")),
            headers(
                ("Location" = String, description = "Where it is, as a path on this server."),
                ("Preference-Applied" = Option<String>, description = "`wait=n`; absent without `Prefer`."),
                ("Idempotent-Replayed" = Option<bool>, description = "`true` when the job was there before."),
                ("Content-Disposition" = Option<String>, description = "A file name, when the answer is the diff."),
                ("ETag" = Option<String>, description = "The version of the diff, when the answer is the diff."),
            ),
        ),
        (
            status = 202,
            description = "The job is stored and will be worked on. After `Prefer: wait` the body is the whole job.",
            body = JobReceipt,
            headers(
                ("Location" = String, description = "Where it is, as a path on this server."),
                ("Retry-After" = i64, description = "When to ask again, in seconds."),
                ("Preference-Applied" = Option<String>, description = "`wait=n`; absent without `Prefer`."),
                ("Idempotent-Replayed" = Option<bool>, description = "`true` when the job was there before."),
            ),
        ),
    ),
    security(("key" = ["jobs:write"])),
    extensions(("x-problems" = json!([
        "invalid_header", "unsupported_repo_url", "blocked_address", "idempotency_key_reused", "quota_exceeded",
        "queue_full", "no_diff", "purged",
    ])))
)]
pub(crate) async fn create_job(
    State(state): State<ApiState>,
    caller: Caller<JobsWrite>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Value>,
) -> Result<Response, ApiError> {
    let idempotency = idempotency::of(&headers, &body)?;
    let request: CreateJob =
        serde_json::from_value(body).map_err(|error| ApiError::Invalid(vec![FieldError::new("", error)]))?;
    let (spec, webhook) = request.read(&state.egress).map_err(ApiError::Invalid)?;
    let new = NewJob {
        spec,
        webhook,
        owner: caller.owner().map(str::to_owned),
        quota: caller.quota().copied(),
        trace_context: trace_context::current(),
    };
    let (job, is_replayed) = match idempotency {
        None => (state.jobs.submit(new).await?, false),
        Some(idempotency) => match state.jobs.submit_once(new, &idempotency).await? {
            Submission::Accepted(job) => (job, false),
            Submission::Replayed(job) => (job, true),
            Submission::KeyReused => return Err(ApiError::KeyReused),
        },
    };
    let id = job.id;
    tracing::Span::current().record("job.id", tracing::field::display(id));
    if !is_replayed {
        tracing::info!(job.id = %id, "Accepted job {id}");
    }
    let mut response = match Wait::preferred(&headers) {
        None => (StatusCode::ACCEPTED, [retry_after(&job)], Json(JobReceipt::new(&job))).into_response(),
        Some(wait) => answer_at_end(&state, job, &caller, wait, &headers).await,
    };
    let location = HeaderValue::from_str(&format!("/jobs/{id}")).expect("an id is ASCII");
    response.headers_mut().insert(header::LOCATION, location);
    if is_replayed {
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Waits for the end of the job. Whatever goes wrong by now, the job is accepted: the answer says where it is.
async fn answer_at_end(
    state: &ApiState,
    job: Job,
    caller: &Caller<JobsWrite>,
    wait: Wait,
    headers: &HeaderMap,
) -> Response {
    let answer = async {
        let job = wait_for_end(state, job, caller.owner(), wait.deadline()).await?;
        if !job.status.is_terminal() {
            let body = Json(read_body(state, &job).await?);
            return Ok((StatusCode::ACCEPTED, [retry_after(&job)], body).into_response());
        }
        if accepts_diff(headers) {
            return diff_of(state, &job, &HeaderMap::new()).await;
        }
        Ok(Json(read_body(state, &job).await?).into_response())
    };
    let mut response = answer.await.unwrap_or_else(ApiError::into_response);
    response.headers_mut().extend([wait.applied()]);
    response
}

/// Whether the client asks for the diff in so many words: `*/*` is what clients send that don't care.
fn accepts_diff(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case(DIFF_TYPE))
            && !parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
    })
}
