//! What the API refuses, in its own words.

use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::models::Model;

mod conversation;
mod fields;
mod marks;
mod schema;

const VERSIONS: [&str; 2] = ["2023-06-01", "2026-10-21"];

/// A refusal: status, error type and message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Rejection {
    /// A 400.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "invalid_request_error", message: message.into() }
    }

    fn unauthorized(message: &str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, kind: "authentication_error", message: message.to_owned() }
    }

    /// A 404 for a model.
    pub(super) fn unknown_model(model: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, kind: "not_found_error", message: format!("model: {model}") }
    }

    /// A 413.
    pub(super) fn too_large() -> Self {
        let message = "Request exceeds the maximum size".to_owned();
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, kind: "request_too_large", message }
    }
}

/// Which of the two endpoints is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Messages,
    CountTokens,
}

/// Checks the headers. Returns the key.
pub(super) fn check_headers(headers: &HeaderMap, only_key: Option<&str>) -> Result<String, Rejection> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty());
    let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let key = header("x-api-key").or(bearer).ok_or_else(|| Rejection::unauthorized("x-api-key header is required"))?;
    if only_key.is_some_and(|only| only != key) {
        return Err(Rejection::unauthorized("invalid x-api-key"));
    }
    match header("anthropic-version") {
        None => Err(Rejection::invalid("anthropic-version: header is required")),
        Some(version) if VERSIONS.contains(&version) => Ok(key.to_owned()),
        Some(version) => Err(Rejection::invalid(format!("anthropic-version: \"{version}\" is not a valid version"))),
    }
}

/// Checks a body. Returns the model it asks.
pub(super) fn check<'a>(body: &Value, endpoint: Endpoint, models: &'a [Model]) -> Result<&'a Model, Rejection> {
    fields::check_names(body, endpoint)?;
    let id = body["model"].as_str().ok_or_else(|| Rejection::invalid("model: Field required"))?;
    let model = models.iter().find(|model| model.id == id).ok_or_else(|| Rejection::unknown_model(id))?;
    fields::check_values(body, model, endpoint)?;
    schema::check_tools(body)?;
    marks::check(body)?;
    conversation::check(body)?;
    Ok(model)
}

#[cfg(test)]
mod tests;
