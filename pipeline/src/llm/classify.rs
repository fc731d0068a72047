//! From what the service says to the reaction it calls for.
//!
//! The status decides, then `error_code`, then `error.type`; the message never does, with the two exceptions below
//! that the service gives no code for.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::{LlmError, ServiceError};

/// Longest wait that is believed; spend limits end after a month.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(31 * 24);

/// States of an account that no retry mends.
const ACCOUNT_CODES: [&str; 7] = [
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
    "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable",
    "organization_on_hold",
    "cmek_key_disabled",
    "cmek_key_network_blocked",
];

/// The object `error` of an error answer, and of an `error` event in a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiError {
    #[serde(rename = "type")]
    kind: String,
    message: String,
    details: Option<ErrorDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorDetails {
    error_code: Option<String>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ApiError,
    request_id: Option<String>,
}

/// An answer whose status is an error. Its body may be anything: the service's edge answers in HTML.
pub(super) fn http_error(status: u16, headers: &HeaderMap, body: &[u8], model: &str) -> LlmError {
    let body: Option<ErrorBody> = serde_json::from_slice(body).ok();
    let from_body = body.as_ref().and_then(|body| body.request_id.clone());
    let answer = ServiceError {
        status,
        request_id: request_id(headers).or(from_body),
        retry_after: retry_after(headers, Utc::now()),
        should_retry: header(headers, "x-should-retry").and_then(|value| value.parse().ok()),
        ..body.map(|body| body.error).unwrap_or_default().into()
    };
    react(status, answer, model)
}

/// An `error` event inside a stream that began with 200: its type stands for a status.
pub(super) fn stream_error(error: ApiError, request_id: Option<String>, model: &str) -> LlmError {
    let status = match error.kind.as_str() {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "conflict_error" => 409,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    };
    react(status, ServiceError { status: 200, request_id, ..error.into() }, model)
}

/// The service's id of a request.
pub(super) fn request_id(headers: &HeaderMap) -> Option<String> {
    header(headers, "request-id").map(str::to_owned)
}

fn react(status: u16, answer: ServiceError, model: &str) -> LlmError {
    let is_account_code = answer.error_code.as_deref().is_some_and(|code| ACCOUNT_CODES.contains(&code));
    let answer = Box::new(answer);
    if is_account_code {
        return LlmError::Account(answer);
    }
    match status {
        400 if says_usage_limit(&answer) => LlmError::Account(answer),
        400 if says_prompt_too_long(&answer) => LlmError::PromptTooLong(answer),
        401 | 403 => LlmError::Authentication(answer),
        402 => LlmError::Account(answer),
        404 => LlmError::UnknownModel { model: model.to_owned(), answer: Some(answer) },
        413 => LlmError::PromptTooLong(answer),
        429 => LlmError::RateLimited(answer),
        529 => LlmError::Overloaded(answer),
        408 | 409 | 500.. => LlmError::Unavailable(answer),
        _ => LlmError::InvalidRequest(answer),
    }
}

/// A limit the operator set on the organisation or workspace comes without a code.
fn says_usage_limit(answer: &ServiceError) -> bool {
    answer.message.starts_with("You have reached your specified") && answer.message.contains("API usage limits")
}

/// So does a prompt above the window.
fn says_prompt_too_long(answer: &ServiceError) -> bool {
    answer.message.starts_with("prompt is too long")
}

impl From<ApiError> for ServiceError {
    fn from(error: ApiError) -> Self {
        Self {
            kind: error.kind,
            error_code: error.details.and_then(|details| details.error_code),
            message: error.message,
            ..Self::default()
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// `retry-after-ms`, else `retry-after` in seconds or as a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let number = |name, unit: f64| header(headers, name)?.parse::<f64>().ok().map(|value| value * unit);
    let seconds = number("retry-after-ms", 0.001).or_else(|| number("retry-after", 1.0));
    let wait = if let Some(seconds) = seconds {
        Duration::try_from_secs_f64(seconds).ok()?
    } else {
        let until = DateTime::parse_from_rfc2822(header(headers, "retry-after")?).ok()?;
        until.signed_duration_since(now).to_std().ok()?
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn wait(name: &'static str, value: &'static str) -> Option<Duration> {
        let now = DateTime::parse_from_rfc3339("2026-11-22T10:00:00Z").unwrap().to_utc();
        retry_after(&HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))]), now)
    }

    #[test]
    fn reads_every_form_of_retry_after() {
        assert_eq!(wait("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("retry-after", "0.25"), Some(Duration::from_millis(250)));
        assert_eq!(wait("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        assert_eq!(wait("retry-after", "Sun, 22 Nov 2026 10:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("retry-after", "1e300"), None);
        assert_eq!(wait("retry-after", "9999999999"), Some(MAX_RETRY_AFTER));
        for useless in ["-1", "NaN", "soon", "", "Sun, 22 Nov 2026 09:00:00 GMT"] {
            assert_eq!(wait("retry-after", useless), None, "{useless}");
        }
    }

    #[test]
    fn the_text_of_an_error_decides_only_where_there_is_no_code() {
        let error = |status, message: &str| {
            react(status, ServiceError { status, message: message.into(), ..ServiceError::default() }, "m")
        };
        assert!(matches!(error(400, "prompt is too long: 2 tokens > 1 maximum"), LlmError::PromptTooLong(_)));
        assert!(matches!(error(400, "a prompt is too long"), LlmError::InvalidRequest(_)));
        assert!(matches!(error(500, "prompt is too long"), LlmError::Unavailable(_)));
        let limit = "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01.";
        assert!(matches!(error(400, limit), LlmError::Account(_)));
    }

    #[test]
    fn an_error_of_unknown_type_in_a_stream_is_the_services_fault() {
        let error = ApiError { kind: "new_error".into(), ..ApiError::default() };
        assert!(matches!(stream_error(error, None, "m"), LlmError::Unavailable(_)));
    }
}
