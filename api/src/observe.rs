//! What every request gets: an id, a span, a line in the log, and problem details when it goes wrong.

use std::fmt;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::wire::Problem;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Longest request id that is taken over from the client, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// Gives the request its id and its span, and writes the body of a problem, which names the request.
pub(crate) async fn observe(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let path = request.uri().path().to_owned();
    // The route, not the path: what a client makes up does not belong into the names of spans.
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let span = tracing::info_span!(
        "api.request",
        request.id = %id,
        http.request.method = %request.method(),
        http.route = route,
    );
    let began = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.in_scope(|| tracing::debug!(status, duration_ms = began.elapsed().as_millis(), "Answered with {status}"));

    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        write_problem(&mut response, &Problem { instance: Some(path), request_id: Some(id.to_string()), ..problem });
    }
    response.headers_mut().insert(X_REQUEST_ID, id.0);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
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
