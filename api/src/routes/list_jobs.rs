//! `GET /jobs`: the caller's jobs, newest first.

use std::fmt::Display;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse};
use chrono::{DateTime, Utc};
use domain::{JobStatus, RepoUrl};
use form_urlencoded::Serializer;
use jobs::JobQuery;
use utoipa::IntoParams;

use crate::ApiState;
use crate::caller::{Caller, JobsRead};
use crate::cursor;
use crate::error::ApiError;
use crate::field::Mistakes;
use crate::openapi::{MetadataFilter, RepoUrlText};
use crate::wire::{FieldError, JobBody, Page};

/// Jobs in a part of the list: when the client does not say, and at most.
const LIMITS: (u32, u32) = (20, 100);

/// Which jobs. The description alone has this form: the query is read so that every mistake is told at once.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "see above")]
struct ListQuery {
    /// Only jobs that stand there; may be given more than once.
    status: Option<Vec<JobStatus>>,
    /// Only jobs of this repository.
    #[param(value_type = Option<RepoUrlText>)]
    repo_url: Option<String>,
    /// Only jobs that were created later than this time (RFC 3339).
    #[param(format = DateTime)]
    created_after: Option<String>,
    /// Only jobs that were created before this time (RFC 3339).
    #[param(format = DateTime)]
    created_before: Option<String>,
    /// Only jobs with this text under this name in their metadata: `metadata[team]=payments`.
    #[param(style = DeepObject, explode, inline, value_type = Option<MetadataFilter>)]
    metadata: Option<()>,
    /// How many at most; 20 when absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `nextCursor` of the part before.
    cursor: Option<String>,
}

/// Answers with a part of the list; `Link` leads to the next one. The jobs come without their stages and diffs.
#[utoipa::path(
    get,
    path = "/jobs",
    tag = "jobs",
    summary = "List jobs, newest first",
    params(ListQuery),
    responses((
        status = 200,
        description = "A part of the list. The jobs are without their stages and diffs.",
        body = Page<JobBody>,
        headers(("Link" = Option<String>, description = "The next part (RFC 8288), `rel=next`; absent on the last one.")),
    )),
    security(("key" = ["jobs:read"])),
    extensions(("x-problems" = json!(["invalid_parameter", "bad_cursor"])))
)]
pub(crate) async fn list_jobs(
    State(state): State<ApiState>,
    caller: Caller<JobsRead>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let parameters: Vec<(String, String)> =
        form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let query = JobQuery { owner: caller.owner().map(str::to_owned), ..read_query(&parameters)? };
    let page = state.jobs.list(&query).await?;
    let next_cursor = page.next.map(cursor::write);
    let link = next_cursor.as_ref().map(|cursor| (header::LINK, link_to_next(&parameters, cursor)));
    let data = page.jobs.iter().map(JobBody::in_list).collect();
    Ok((AppendHeaders(link), Json(Page { data, next_cursor })))
}

/// Reads every parameter, and reports all that are wrong at once.
fn read_query(parameters: &[(String, String)]) -> Result<JobQuery, ApiError> {
    let mut query = JobQuery { limit: LIMITS.0, ..JobQuery::default() };
    let mut mistakes = Mistakes::default();
    for (index, (name, value)) in parameters.iter().enumerate() {
        let is_repeated = name != "status" && parameters[..index].iter().any(|(earlier, _)| earlier == name);
        let read = if is_repeated { Err("is given twice".to_owned()) } else { read_parameter(&mut query, name, value) };
        mistakes.note(read.map_err(|detail| FieldError::in_query(name, detail)));
    }
    if !mistakes.is_empty() {
        return Err(ApiError::InvalidQuery(mistakes.into()));
    }
    if let Some((_, text)) = parameters.iter().find(|(name, _)| name == "cursor") {
        query.after = Some(cursor::read(text).ok_or(ApiError::BadCursor)?);
    }
    Ok(query)
}

fn read_parameter(query: &mut JobQuery, name: &str, value: &str) -> Result<(), String> {
    match name {
        "status" => query.statuses.push(value.parse().map_err(text)?),
        "repoUrl" => query.repo_url = Some(RepoUrl::parse(value).map_err(text)?),
        "createdAfter" => query.created_after = Some(read_time(value)?),
        "createdBefore" => query.created_before = Some(read_time(value)?),
        "limit" => query.limit = read_limit(value)?,
        // Read at the end: it has an answer of its own.
        "cursor" => {}
        _ => {
            let key = name.strip_prefix("metadata[").and_then(|rest| rest.strip_suffix(']'));
            let key = key.ok_or(
                "is not a parameter of this list: there are status, repoUrl, createdAfter, createdBefore, \
                 metadata[…], limit and cursor",
            )?;
            // PostgreSQL compares no text with it.
            if key.contains('\0') || value.contains('\0') {
                return Err("must not hold the character U+0000".to_owned());
            }
            query.metadata.push((key.to_owned(), value.to_owned()));
        }
    }
    Ok(())
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// A `+` that was not escaped has become a blank.
fn read_time(value: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(&value.replace(' ', "+"));
    time.map(|time| time.to_utc()).map_err(|_| "is not a time such as 2026-09-04T12:30:00Z (RFC 3339)".to_owned())
}

fn read_limit(value: &str) -> Result<u32, String> {
    let limit = value.parse().ok().filter(|limit| (1..=LIMITS.1).contains(limit));
    limit.ok_or_else(|| format!("must be 1 to {}", LIMITS.1))
}

/// The same list from another place on (RFC 8288).
fn link_to_next(parameters: &[(String, String)], cursor: &str) -> String {
    let same = parameters.iter().filter(|(name, _)| name != "cursor");
    let query = Serializer::new(String::new()).extend_pairs(same).append_pair("cursor", cursor).finish();
    format!("</jobs?{query}>; rel=\"next\"")
}
