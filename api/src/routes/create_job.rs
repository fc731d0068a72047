//! `POST /analyze/`: takes a request, commits its row, answers with the job's id.
//!
//! `/analyze` is the same route, because `curl -d` does not follow a redirect. Whatever the client does after the row
//! is committed, the job goes its way.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{
    Cost, DEFAULT_TIMEOUT_SECONDS, Effort, GitRef, JobSpec, MAX_ATTEMPTS, MAX_METADATA_BYTES, MAX_METADATA_PAIRS,
    MAX_PATH_PATTERNS, MAX_PROMPT_BYTES, MAX_TIMEOUT_SECONDS, PathPattern, Priority, RepoUrl, Strategy,
};
use egress::Egress;
use jobs::{Job, JobWebhook, NewJob, Submission};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::get_diff::{DIFF_TYPE, diff_of};
use super::webhooks::{WebhookField, read_job_webhook};
use super::{read_body, retry_after};
use crate::ApiState;
use crate::caller::{Caller, JobsWrite};
use crate::error::ApiError;
use crate::field::{Field, Mistakes};
use crate::idempotency::{self, IDEMPOTENT_REPLAYED};
use crate::json_body::{JsonBody, token};
use crate::openapi::{GitRefText, Metadata, PathPatternText, RepoUrlText, StrategyName};
use crate::wait::{Wait, wait_for_end};
use crate::wire::{AUTO, FieldError, FieldErrorKind, JobBody, JobReceipt};

/// Longest model id, in bytes.
const MAX_MODEL_BYTES: usize = 128;

/// What a client asks for. Everything but the first two is optional; a field that is not here is refused, because a
/// misspelt one would pass silently.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "repoUrl": "https://git.example.com/team/project", "prompt": "Add a licence" }))]
pub(crate) struct CreateJob {
    /// Where the repository is: an `https://` address without credentials.
    #[serde(default)]
    #[schema(value_type = RepoUrlText, required)]
    repo_url: Field<String>,
    /// What should change, in the user's words; at most 32 KiB.
    #[serde(default)]
    #[schema(value_type = String, required, max_length = 32_768, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$")]
    prompt: Field<String>,
    /// Branch, tag or full commit id; the repository's default branch when absent.
    #[serde(default, rename = "ref")]
    #[schema(value_type = Option<GitRefText>)]
    git_ref: Field<String>,
    /// Model id; the server's default when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[!-~]{1,128}$")]
    model: Field<String>,
    /// How hard the model works: `low` to `max`; the model's own default when absent.
    #[serde(default)]
    #[schema(value_type = Option<Effort>)]
    effort: Field<String>,
    /// How the repository is shown to the model: `auto` (by its size) or the name of a strategy.
    #[serde(default)]
    #[schema(value_type = Option<StrategyName>)]
    strategy: Field<String>,
    /// The most the job may cost over all its attempts, in US dollars.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = 0.000_000_001, maximum = 9_223_372_036.0)]
    max_cost_usd: Field<f64>,
    /// How urgent the job is: `low`, `normal` or `high`.
    #[serde(default)]
    #[schema(value_type = Option<Priority>)]
    priority: Field<String>,
    /// How long workers may work on the job, over all its attempts: up to a day; half an hour when absent.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 86_400)]
    timeout_seconds: Field<u64>,
    /// How often the job may be tried, 1 to 10; 3 times when absent.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 10)]
    max_attempts: Field<u64>,
    /// The files that may be shown and changed, as patterns of a `.gitignore` file; all of them when absent.
    #[serde(default)]
    #[schema(value_type = Option<Vec<PathPatternText>>, max_items = 64)]
    paths: Field<Vec<Field<String>>>,
    /// The files among them that may not.
    #[serde(default)]
    #[schema(value_type = Option<Vec<PathPatternText>>, max_items = 64)]
    exclude_paths: Field<Vec<Field<String>>>,
    /// Up to 16 names with a text each, of up to 512 bytes, which come back with the job.
    #[serde(default)]
    #[schema(value_type = Option<Metadata>)]
    metadata: Field<BTreeMap<String, Field<String>>>,
    /// Who is told of this job alone.
    #[serde(default)]
    #[schema(value_type = Option<WebhookField>)]
    webhook: Field<WebhookField>,
    /// Whatever else is there.
    #[serde(flatten)]
    #[schema(ignore)]
    unknown: Map<String, Value>,
}

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

impl CreateJob {
    /// Reads every field, and reports all that are wrong at once.
    fn read(self, egress: &Egress) -> Result<(JobSpec, Option<JobWebhook>), Vec<FieldError>> {
        let mut mistakes = Mistakes::default();
        let repo_url = mistakes.note(read_repo_url(self.repo_url, egress));
        let prompt = mistakes.note(read_prompt(self.prompt));
        let git_ref = mistakes.optional("/ref", self.git_ref, |text| GitRef::parse(&text));
        let model = mistakes.optional("/model", self.model, read_model);
        let effort = mistakes.optional("/effort", self.effort, |text| text.parse::<Effort>());
        let strategy = mistakes.optional("/strategy", self.strategy, |text| read_strategy(&text)).flatten();
        let max_cost = mistakes.optional("/maxCostUsd", self.max_cost_usd, read_cost);
        let priority = mistakes.optional("/priority", self.priority, |text| text.parse::<Priority>());
        let timeout_seconds =
            mistakes.optional("/timeoutSeconds", self.timeout_seconds, |n| read_count(n, MAX_TIMEOUT_SECONDS));
        let max_attempts = mistakes.optional("/maxAttempts", self.max_attempts, |n| read_count(n, MAX_ATTEMPTS));
        let paths = read_patterns(&mut mistakes, "/paths", self.paths);
        let exclude_paths = read_patterns(&mut mistakes, "/excludePaths", self.exclude_paths);
        let metadata = read_metadata(&mut mistakes, self.metadata);
        let webhook = mistakes.note(self.webhook.optional("/webhook")).flatten();
        let webhook = webhook.and_then(|field| mistakes.all(read_job_webhook(field, egress)));
        for name in self.unknown.keys() {
            mistakes.note::<()>(Err(FieldError::new(token(name), "is not a field of this request")));
        }
        let (Some(repo_url), Some(prompt), true) = (repo_url, prompt, mistakes.is_empty()) else {
            return Err(mistakes.into());
        };
        let spec = JobSpec {
            git_ref,
            model,
            effort,
            strategy,
            max_cost,
            priority: priority.unwrap_or_default(),
            timeout_seconds: timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS),
            max_attempts,
            paths,
            exclude_paths,
            metadata,
            ..JobSpec::new(repo_url, prompt)
        };
        Ok((spec, webhook))
    }
}

fn read_repo_url(field: Field<String>, egress: &Egress) -> Result<RepoUrl, FieldError> {
    let error = |kind, detail: String| FieldError { kind, ..FieldError::new("/repoUrl", detail) };
    let text = field.required("/repoUrl")?;
    let url = RepoUrl::parse(&text).map_err(|rule| error(FieldErrorKind::RepoUrl, rule.to_string()))?;
    egress.check(url.as_url()).map_err(|rule| error(FieldErrorKind::BlockedAddress, rule.to_string()))?;
    Ok(url)
}

fn read_prompt(field: Field<String>) -> Result<String, FieldError> {
    let error = |detail: String| FieldError::new("/prompt", detail);
    let text = field.required("/prompt")?;
    if text.trim().is_empty() {
        return Err(error("must say what should change".to_owned()));
    }
    if text.len() > MAX_PROMPT_BYTES {
        return Err(error(format!("is longer than {MAX_PROMPT_BYTES} bytes")));
    }
    // PostgreSQL stores no text with it.
    if text.contains('\0') {
        return Err(error("must not hold the character U+0000".to_owned()));
    }
    Ok(text)
}

/// Which models there are is the model service's to say; here it only must look like an id.
fn read_model(text: String) -> Result<String, String> {
    let is_id = (1..=MAX_MODEL_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_id { Ok(text) } else { Err(format!("is not a model id: 1 to {MAX_MODEL_BYTES} visible ASCII characters")) }
}

fn read_strategy(text: &str) -> Result<Option<Strategy>, String> {
    if text == AUTO { Ok(None) } else { text.parse().map(Some).map_err(|error| format!("{error}, or {AUTO}")) }
}

fn read_count(count: u64, max: u32) -> Result<u32, String> {
    let count = u32::try_from(count).ok().filter(|count| (1..=max).contains(count));
    count.ok_or_else(|| format!("must be 1 to {max}"))
}

fn read_patterns(mistakes: &mut Mistakes, at: &str, field: Field<Vec<Field<String>>>) -> Vec<PathPattern> {
    let max = MAX_PATH_PATTERNS;
    let is_short =
        |list: Vec<_>| if list.len() <= max { Ok(list) } else { Err(format!("has more than {max} patterns")) };
    let items = mistakes.optional(at, field, is_short).unwrap_or_default();
    let read = |(index, item): (usize, Field<String>)| {
        let at = format!("{at}/{index}");
        let text = mistakes.note(item.required(&at))?;
        mistakes.note(PathPattern::parse(&text).map_err(|error| FieldError::new(at, error)))
    };
    items.into_iter().enumerate().filter_map(read).collect()
}

fn read_metadata(mistakes: &mut Mistakes, field: Field<BTreeMap<String, Field<String>>>) -> BTreeMap<String, String> {
    let max = MAX_METADATA_PAIRS;
    let is_small =
        |map: BTreeMap<_, _>| if map.len() <= max { Ok(map) } else { Err(format!("has more than {max} pairs")) };
    let pairs = mistakes.optional("/metadata", field, is_small).unwrap_or_default();
    let read = |(name, value): (String, Field<String>)| {
        let at = format!("/metadata{}", token(&name));
        let value = mistakes.note(value.required(&at))?;
        mistakes.note(check_metadata(&name, &value).map_err(|rule| FieldError::new(at, rule)))?;
        Some((name, value))
    };
    pairs.into_iter().filter_map(read).collect()
}

fn check_metadata(name: &str, value: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("has no name".to_owned());
    }
    if name.len().max(value.len()) > MAX_METADATA_BYTES {
        return Err(format!("is longer than {MAX_METADATA_BYTES} bytes"));
    }
    // PostgreSQL stores no text with it.
    if name.contains('\0') || value.contains('\0') {
        return Err("must not hold the character U+0000".to_owned());
    }
    Ok(())
}

fn read_cost(usd: f64) -> Result<Cost, String> {
    let cost = Cost::try_from_usd(usd).map_err(|error| error.to_string())?;
    if cost == Cost::ZERO { Err("must be more than 0: every job costs something".to_owned()) } else { Ok(cost) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_taken_to_the_last_digit() {
        let nanos = |usd| read_cost(usd).map(Cost::as_nanos);
        assert_eq!(nanos(0.1), Ok(100_000_000));
        assert_eq!(nanos(0.000_000_001), Ok(1));
        assert_eq!(nanos(2.0), Ok(2_000_000_000));
        for bad in [0.0, -0.0, -1.0, 1e300, 1e-10, f64::NAN, f64::INFINITY] {
            assert!(nanos(bad).is_err(), "{bad}");
        }
    }
}
