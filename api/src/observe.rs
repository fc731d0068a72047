//! What every request gets: an id, a span, a line in the log, and problem details when it goes wrong.

use std::fmt;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use domain::JobId;
use tracing::field::Empty;
use tracing::{Instrument as _, Level, Span, span};
use uuid::Uuid;

use crate::tally;
use crate::wire::Problem;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// A method that HTTP does not know, by OpenTelemetry's conventions.
const OTHER_METHOD: &str = "_OTHER";

/// Longest request id that is taken over from the client, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The span of a request, by OpenTelemetry's conventions for HTTP servers. Every field that is not known at the start has
/// its place here.
macro_rules! request_span {
    ($level:expr, $request:expr, $route:expr, $id:expr) => {
        span!(
            $level,
            "http.request",
            otel.name = span_name($request.method(), $route),
            otel.kind = "server",
            otel.status_code = Empty,
            request.id = %$id,
            http.request.method = method_name($request.method()),
            http.route = $route,
            http.response.status_code = Empty,
            url.scheme = "http",
            url.path = $request.uri().path(),
            error.type = Empty,
            job.id = job_in($request.uri().path()).map(display),
        )
    };
}

/// Gives the request its id and its span, and writes the body of a problem, which names the request.
pub(crate) async fn observe(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let (path, method) = (request.uri().path().to_owned(), method_name(request.method()).to_owned());
    let route = route.as_ref().map(MatchedPath::as_str);
    let span = begin_span(&request, route, &id);
    let began = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    end_span(&span, response.status());
    tally::request_answered(method, route, response.status(), began.elapsed());
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::debug!(duration_ms, "Answered with {}", response.status().as_u16()));

    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        write_problem(&mut response, &Problem { instance: Some(path), request_id: Some(id.to_string()), ..problem });
    }
    response.headers_mut().insert(X_REQUEST_ID, id.0);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

/// The span of a request, which goes on with its client's trace if it has one.
fn begin_span(request: &Request, route: Option<&str>, id: &RequestId) -> Span {
    // Probes and scrapes come every few seconds and are traces of nothing.
    let span = if matches!(route, Some("/healthz" | "/readyz" | "/metrics")) {
        request_span!(Level::DEBUG, request, route, id)
    } else {
        request_span!(Level::INFO, request, route, id)
    };
    if let Some(traceparent) = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()) {
        trace_context::continue_from(&span, traceparent);
    }
    span
}

/// A server fails with 5xx; a client's mistake is no error of ours.
fn end_span(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("error.type", status.as_str());
        span.record("otel.status_code", "ERROR");
    }
}

/// `GET /jobs/{id}`. The route, not the path: what a client makes up does not belong into the names of spans.
fn span_name(method: &Method, route: Option<&str>) -> String {
    let method = if method_name(method) == OTHER_METHOD { "HTTP" } else { method.as_str() };
    route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"))
}

/// The method, or one name for all that HTTP does not know.
fn method_name(method: &Method) -> &str {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH];
    if known.contains(method) { method.as_str() } else { OTHER_METHOD }
}

/// The job that a path is about.
fn job_in(path: &str) -> Option<JobId> {
    path.strip_prefix("/jobs/")?.split('/').next()?.parse().ok()
}

fn write_problem(response: &mut Response, problem: &Problem) {
    let json = serde_json::to_vec(problem).expect("a problem is strings and numbers");
    *response.body_mut() = Body::from(json);
    response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
    response.headers_mut().remove(header::CONTENT_LENGTH);
}

/// The name of one request: the client's own, or a new UUID v7.
struct RequestId(HeaderValue);

impl RequestId {
    /// Takes over an id that is short and visible, so that nobody writes what they like into logs.
    fn of(headers: &HeaderMap) -> Self {
        let is_fit = |value: &&HeaderValue| {
            (1..=MAX_REQUEST_ID_BYTES).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        headers.get(X_REQUEST_ID).filter(is_fit).map_or_else(Self::new, |value| Self(value.clone()))
    }

    fn new() -> Self {
        let text = Uuid::now_v7().to_string();
        Self(HeaderValue::from_str(&text).expect("a UUID is ASCII"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_names_that_clients_cannot_make_up() {
        let other = Method::from_bytes(b"BREW").expect("a token");
        assert_eq!(span_name(&Method::GET, Some("/jobs/{id}")), "GET /jobs/{id}");
        assert_eq!(span_name(&Method::GET, None), "GET");
        assert_eq!(span_name(&other, None), "HTTP");
        assert_eq!(method_name(&other), "_OTHER");
    }

    #[test]
    fn the_job_is_the_one_in_the_path() {
        let id = JobId::new();
        assert_eq!(job_in(&format!("/jobs/{id}")), Some(id));
        assert_eq!(job_in(&format!("/jobs/{id}/stages/plan")), Some(id));
        for path in ["/", "/jobs/", "/jobs/x", "/analyze/"] {
            assert_eq!(job_in(path), None);
        }
    }
}
