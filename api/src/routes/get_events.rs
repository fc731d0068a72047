//! `GET /jobs/{id}/events`: what happened to a job and what happens, as a stream or page by page.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::JobId;
use jobs::{Job, MAX_EVENTS};
use serde::Deserialize;
use utoipa::IntoParams;

use super::find_job;
use crate::ApiState;
use crate::accept::preferred;
use crate::auth::Credentials;
use crate::caller::{Caller, JobsRead};
use crate::error::ApiError;
use crate::event_stream::EventStream;
use crate::openapi::StreamMessage;
use crate::path_of::PathOf;
use crate::wire::{EventBody, EventPage, FieldError};

const STREAM: &str = "text/event-stream";
const PAGE: &str = "application/json";

/// Events of a page unless the client says how many it wants, and the most there may be.
const PAGE_EVENTS: usize = MAX_EVENTS;

/// Nothing of it may be kept: the next request may find more.
const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Only those after the one of this number.
    #[param(value_type = Option<u64>, maximum = 9_223_372_036_854_775_807_i64)]
    after: Option<String>,
    /// How many at most; only of a page.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 500)]
    limit: Option<String>,
}

/// Where a client wants to go on, and which part of the request says so.
enum After {
    Header(u64),
    Query(u64),
    Start,
}

/// Answers with a stream that ends when the job has, or with a page of what there is. A stream that has nothing to say and
/// never will is 204: that is what stops a browser's `EventSource` from coming back.
#[utoipa::path(
    get,
    path = "/jobs/{id}/events",
    tag = "jobs",
    summary = "Follow what happens to a job",
    params(
        ("id" = JobId, Path, description = "The job."),
        EventsQuery,
        (
            "Last-Event-ID" = Option<String>,
            Header,
            pattern = "^[0-9]*$",
            description = "Like `after`, and counts more: what a browser sends when it connects again.",
        ),
    ),
    responses(
        (
            status = 200,
            description = "A stream that ends with the job, or, when `Accept` likes JSON better, a page.",
            content((StreamMessage = "text/event-stream"), (EventPage = "application/json")),
            headers(
                ("Cache-Control" = String, description = "`no-store`."),
                ("X-Accel-Buffering" = Option<String>, description = "`no`, of a stream: each event goes on at once."),
            ),
        ),
        (
            status = 204,
            description = "The client has every event, and no more can come.",
            headers(("Cache-Control" = String, description = "`no-store`.")),
        ),
    ),
    security(("key" = ["jobs:read"])),
    extensions(("x-problems" = json!([
        "invalid_parameter", "bad_last_event_id", "not_acceptable", "purged", "too_many_streams",
    ])))
)]
pub(crate) async fn get_events(
    State(state): State<ApiState>,
    caller: Caller<JobsRead>,
    PathOf(id): PathOf<JobId>,
    query: Result<Query<EventsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let job = find_job(&state, &caller, id).await?;
    let Query(query) = query.map_err(|error| ApiError::InvalidQuery(vec![FieldError::nowhere(error.body_text())]))?;
    let is_stream = match preferred(&headers, &[STREAM, PAGE]) {
        Some(0) => true,
        Some(_) => false,
        None => return Err(ApiError::NotAcceptable(&[STREAM, PAGE])),
    };
    let after = After::read(&headers, &query)?.checked(&job)?;
    if is_stream {
        if query.limit.is_some() {
            return Err(invalid("limit", format!("is for pages: ask for them with `Accept: {PAGE}`")));
        }
        return stream(&state, job, after, &headers);
    }
    let limit = query.limit.map_or(Ok(PAGE_EVENTS), |text| read_limit(&text))?;
    Ok((NO_STORE, Json(page(&state, &job, after, limit).await?)).into_response())
}

fn stream(state: &ApiState, job: Job, after: u64, headers: &HeaderMap) -> Result<Response, ApiError> {
    if job.status.is_terminal() && after >= job.version {
        return Ok((StatusCode::NO_CONTENT, NO_STORE).into_response());
    }
    let slot = state.streams.clone().try_acquire_owned().map_err(|_| ApiError::TooManyStreams)?;
    let (ping, closing) = (state.pace.ping, state.closing.clone());
    let watch = state.jobs.watch(job.id);
    let credentials = Credentials::of(&state.keys, headers);
    Ok(EventStream { job, watch, after, ping, closing, credentials }.respond(slot))
}

async fn page(state: &ApiState, job: &Job, after: u64, limit: usize) -> Result<EventPage, ApiError> {
    let events = state.jobs.events_up_to(job.id, after, limit).await?;
    let next_after = events.last().map_or(after, |event| event.seq);
    let data = events.iter().map(|event| EventBody::new(job, event)).collect::<Result<_, _>>()?;
    Ok(EventPage { data, next_after })
}

impl After {
    /// A browser that connects again sends the header with the address it began with: the header is newer.
    fn read(headers: &HeaderMap, query: &EventsQuery) -> Result<Self, ApiError> {
        if let Some(value) = headers.get("last-event-id").filter(|value| !value.is_empty()) {
            let id = value.to_str().ok().and_then(read_number);
            return id.map(Self::Header).ok_or_else(|| {
                ApiError::BadLastEventId("is not the number of an event: send the last `id:` you received".to_owned())
            });
        }
        let Some(text) = &query.after else { return Ok(Self::Start) };
        read_number(text).map(Self::Query).ok_or_else(|| invalid("after", "must be the number of an event, or 0"))
    }

    /// The number, if the job has had so many events, or never will.
    fn checked(self, job: &Job) -> Result<u64, ApiError> {
        let (Self::Header(after) | Self::Query(after)) = self else { return Ok(0) };
        if after <= job.version || job.status.is_terminal() {
            return Ok(after);
        }
        let detail = format!("is {after}, but the last event of this job is {}", job.version);
        Err(match self {
            Self::Header(_) => ApiError::BadLastEventId(detail),
            _ => invalid("after", detail),
        })
    }
}

/// Reads a number that the databases can compare with.
fn read_number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| is_number && i64::try_from(*number).is_ok())
}

fn read_limit(text: &str) -> Result<usize, ApiError> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_EVENTS).contains(limit));
    limit.ok_or_else(|| invalid("limit", format!("must be 1 to {MAX_EVENTS}")))
}

fn invalid(parameter: &str, detail: impl std::fmt::Display) -> ApiError {
    ApiError::InvalidQuery(vec![FieldError::in_query(parameter, detail)])
}
