//! Traces and logs as an operator sees them: the spans that reach a collector, and the lines on stderr.

mod collector;
mod off;
mod tree;

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use self::collector::Collector;
use crate::app::Server;

/// What a client sends: the trace it has begun, and the span that asks.
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CLIENT_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT_SPAN: &str = "b7ad6b7169203331";

/// A prompt with a word that is nowhere else.
const PROMPT: &str = "It says Helo. Make it say Hello. Xyzzy.";

/// Longest time that a collector may hold the end of a process up.
const LONGEST_END: Duration = Duration::from_secs(8);

/// The standard variables, with batches that come soon.
fn variables(endpoint: String) -> Vec<(&'static str, String)> {
    vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20collector-key".to_owned()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
    ]
}

/// POSTs within a trace and gives the answer's body.
async fn post(server: &Server, path: &str, traceparent: &str, body: &Value) -> Value {
    let request = server.client.post(format!("{}{path}", server.url)).header("traceparent", traceparent);
    let response = request.json(body).send().await.expect("an answer");
    assert_eq!(response.status(), 202);
    response.json().await.expect("JSON")
}

/// Nothing that is private is in anything that the collector got.
fn nothing_private_was_sent(collector: &Collector) {
    let bodies: Vec<_> = collector.requests().into_iter().map(|(_, body)| body).collect();
    assert!(bodies.iter().any(|body| contains(body, "job.attempt")), "the search finds what is there");
    // The prompt, a file, a plan of the model, its edit, a key, the collector's own key.
    for private in ["Xyzzy", "Helo", "lacks a letter", "Spells Hello", "test-key", "collector-key"] {
        assert!(!bodies.iter().any(|body| contains(body, private)), "`{private}` was sent");
    }
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

fn has_key(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|value| value == "Bearer collector-key")
}

fn seed(repo_url: &str) -> Value {
    json!({"repoUrl": repo_url, "prompt": PROMPT})
}
