//! One trace from the request through the queue to every stage, call and fetch, whichever process works on the job.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use standin::claude::{Fault, Reply, RequestView};

use super::collector::{Collector, Span};
use super::{CLIENT_SPAN, CLIENT_TRACE, TRACEPARENT, has_key, nothing_private_was_sent, post, seed, variables};
use crate::app::{World, diligent};
use crate::cluster::Cluster;
use crate::serve::silent_at;

const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

/// All spans of a run, and how they belong together.
struct Spans(Vec<Span>);

impl Spans {
    fn named(&self, name: &str) -> Vec<&Span> {
        self.0.iter().filter(|span| span.name == name).collect()
    }

    fn one(&self, name: &str) -> &Span {
        let found = self.named(name);
        assert_eq!(found.len(), 1, "{name}: {found:#?}");
        found[0]
    }

    fn below(&self, parent: &Span) -> Vec<&Span> {
        self.0.iter().filter(|span| span.parent_id == parent.id && span.trace_id == parent.trace_id).collect()
    }

    fn names_below(&self, parent: &Span) -> BTreeSet<&str> {
        self.below(parent).into_iter().map(|span| span.name.as_str()).collect()
    }

    fn one_below(&self, parent: &Span, name: &str) -> &Span {
        let found: Vec<_> = self.below(parent).into_iter().filter(|span| span.name == name).collect();
        assert_eq!(found.len(), 1, "{name} below {}: {found:#?}", parent.name);
        found[0]
    }
}

#[tokio::test]
async fn a_job_that_outlives_its_worker_is_told_from_request_to_result() {
    let Some(mut cluster) = Cluster::start(silent_at(1).0).await else { return };
    let collector = Collector::start().await;
    cluster.migrate().await;
    cluster.set(&variables(collector.url()));
    let (api, first) = (cluster.api().await, cluster.worker().await);
    let receipt = post(&api, "/analyze/", TRACEPARENT, &seed(&cluster.world.repo_url)).await;
    assert_eq!(receipt["traceId"], CLIENT_TRACE);
    let id = receipt["id"].clone();
    cluster.world.claude.arrived(2).await;
    collector.until(|span| span.name == "stage plan").await;
    let (second, log) = cluster.logged_worker().await;
    first.kill().await;
    let job = api.wait(&id).await;
    assert_eq!((&job["status"], &job["traceId"]), (&json!("succeeded"), &json!(CLIENT_TRACE)), "{job:#}");
    second.terminate().await;
    api.terminate().await;

    let spans = Spans(collector.spans());
    let request = the_request_goes_on_with_the_clients_trace(&spans);
    let lost_attempt = the_lost_attempt_is_part_of_it(&spans, request);
    let attempt = the_next_attempt_is_linked_to_both(&spans, request, &lost_attempt);
    every_part_of_the_work_has_its_place(&spans, attempt);
    for span in &spans.0 {
        assert_eq!(span.attribute("job.id"), id, "{span:#?}");
        assert_eq!(span.resource["service.name"], [json!("tinygen")]);
        assert_eq!(span.resource["deployment.environment.name"], [json!("test")]);
    }
    nothing_private_was_sent(&collector);
    assert!(collector.requests().iter().all(|(headers, _)| has_key(headers)));
    every_line_names_the_job_and_the_trace(&log.lines(), &id, attempt);
    cluster.remove().await;
}

fn the_request_goes_on_with_the_clients_trace(spans: &Spans) -> &Span {
    let request = spans.one("POST /analyze/");
    assert_eq!((request.trace_id.as_str(), request.parent_id.as_str()), (CLIENT_TRACE, CLIENT_SPAN));
    assert_eq!((request.kind, request.is_error), (SERVER, false));
    for (name, value) in [
        ("http.request.method", json!("POST")),
        ("http.route", json!("/analyze/")),
        ("http.response.status_code", json!(202)),
        ("url.path", json!("/analyze/")),
    ] {
        assert_eq!(request.attribute(name), value, "{name}");
    }
    let submit = spans.one_below(request, "store.submit");
    assert_eq!(submit.kind, CLIENT);
    assert_eq!(submit.attribute("db.system.name"), "postgresql");
    assert_eq!(submit.attribute("db.operation.name"), "submit");
    let ring = spans.one_below(request, "bell.ring");
    assert_eq!((ring.kind, ring.attribute("messaging.system")), (PRODUCER, json!("redis")));
    let look = spans.named("GET /jobs/{id}")[0];
    assert_ne!(look.trace_id, CLIENT_TRACE, "a look at the job is a trace of its own");
    request
}

/// Its own span went down with its worker: what it had finished is there, and names it.
fn the_lost_attempt_is_part_of_it(spans: &Spans, request: &Span) -> String {
    let plans = spans.named("stage plan");
    let plan = plans.iter().find(|span| span.trace_id == request.trace_id).expect("the first worker's");
    let attempt = plan.parent_id.clone();
    assert!(!spans.0.iter().any(|span| span.id == attempt), "it was never sent");
    for name in ["stage snapshot", "stage sheet", "stage plan"] {
        assert!(spans.named(name).iter().any(|span| span.parent_id == attempt), "{name}");
    }
    spans.one_below(plan, "chat claude-opus-5-5");
    attempt
}

fn the_next_attempt_is_linked_to_both<'a>(spans: &'a Spans, request: &Span, lost_attempt: &str) -> &'a Span {
    let attempt = spans.one("job.attempt");
    assert_eq!((attempt.parent_id.as_str(), attempt.kind, attempt.is_error), ("", CONSUMER, false));
    assert_ne!(attempt.trace_id, request.trace_id);
    let links = [(CLIENT_TRACE.to_owned(), request.id.clone()), (CLIENT_TRACE.to_owned(), lost_attempt.to_owned())];
    assert_eq!(attempt.links, links);
    assert_eq!((attempt.attribute("job.attempt"), attempt.attribute("job.rescues")), (json!(1), json!(1)));
    attempt
}

fn every_part_of_the_work_has_its_place(spans: &Spans, attempt: &Span) {
    let stages = ["stage snapshot", "stage sheet", "stage plan", "stage edit", "stage review"];
    let beside = ["draft", "store.note_attempt_trace", "store.succeed"];
    let expected: BTreeSet<&str> = stages.into_iter().chain(beside).collect();
    assert_eq!(spans.names_below(attempt), expected);
    for (name, is_resumed) in
        [("stage snapshot", json!(true)), ("stage plan", json!(true)), ("stage edit", Value::Null)]
    {
        assert_eq!(spans.one_below(attempt, name).attribute("stage.resumed"), is_resumed, "{name}");
    }
    let fetch = spans.one_below(spans.one_below(attempt, "stage snapshot"), "repo.fetch");
    assert_eq!((fetch.kind, fetch.attribute("server.address")), (CLIENT, json!("127.0.0.1")));
    for name in ["repo.bytes", "repo.objects", "repo.files"] {
        assert!(fetch.attribute(name).as_u64().is_some_and(|count| count > 0), "{name}: {fetch:#?}");
    }
    let edit = spans.one_below(attempt, "stage edit");
    for name in ["store.load_stage", "store.start_stage", "store.load_call", "store.reserve_call", "store.settle_call"]
    {
        assert_eq!(spans.one_below(edit, name).kind, CLIENT);
    }
    the_model_call_is_described(spans.one_below(edit, "chat claude-opus-5-5"));
}

fn the_model_call_is_described(chat: &Span) {
    assert_eq!((chat.kind, chat.is_error), (CLIENT, false));
    for (name, value) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("anthropic")),
        ("gen_ai.request.model", json!("claude-opus-5-5")),
        ("gen_ai.response.model", json!("claude-opus-5-5")),
        ("gen_ai.response.finish_reasons", json!(["tool_use"])),
    ] {
        assert_eq!(chat.attribute(name), value, "{name}");
    }
    let count = |name: &str| chat.attribute(name).as_u64().unwrap_or_else(|| panic!("no {name}: {chat:#?}"));
    let cached = count("gen_ai.usage.cache_read.input_tokens") + count("gen_ai.usage.cache_creation.input_tokens");
    assert!(count("gen_ai.usage.input_tokens") >= cached, "the cached ones are counted in");
    assert!(count("gen_ai.usage.output_tokens") > 0);
    assert!(chat.attribute("gen_ai.response.id").as_str().is_some_and(|id| !id.is_empty()));
    assert!(chat.attribute("tinygen.cost_usd").as_f64().is_some_and(|cost| cost > 0.0));
}

fn every_line_names_the_job_and_the_trace(lines: &[Value], id: &Value, attempt: &Span) {
    let of_job: Vec<_> = lines.iter().filter(|line| line.get("job.id").is_some()).collect();
    let messages: BTreeSet<_> = of_job.iter().filter_map(|line| line["message"].as_str()).collect();
    for milestone in ["Claimed the job", "Fetched the repository", "Finished the stage", "The attempt is over"] {
        assert!(messages.contains(milestone), "{milestone}: {messages:?}");
    }
    for line in of_job {
        assert_eq!((&line["job.id"], &line["trace_id"]), (id, &json!(attempt.trace_id)), "{line}");
        assert!(line["span_id"].is_string(), "{line}");
    }
    let of_process = ["Working", "Stopping: running jobs are handed back; a second signal ends at once"];
    for line in lines.iter().filter(|line| line.get("job.id").is_none()) {
        let message = line["message"].as_str().expect("a text");
        assert!(of_process.contains(&message) || message == "No job is claimed any more", "{line}");
    }
}

/// A model that cannot be asked at one request, so that the attempt fails.
fn away_at(number: usize, status: u16) -> impl Fn(&RequestView) -> Reply + Send + Sync + 'static {
    move |request: &RequestView| {
        let fault = Fault::status(status).with_header("x-should-retry", "false");
        if request.number() == number { Reply::fault(fault) } else { diligent(request) }
    }
}

#[tokio::test]
async fn a_failed_attempt_says_why_and_the_next_one_points_to_it() {
    let world = World::new(away_at(0, 529)).await;
    let collector = Collector::start().await;
    let server = world.serve_as("serve", &variables(collector.url())).await;
    let id = post(&server, "/analyze/", TRACEPARENT, &seed(&world.repo_url)).await["id"].clone();
    let job = server.wait(&id).await;
    assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(2)), "{job:#}");
    server.terminate().await;

    let spans = Spans(collector.spans());
    let request = spans.one("POST /analyze/");
    let failed = spans.one_below(request, "job.attempt");
    assert!(failed.is_error);
    assert_eq!(failed.attribute("error.type"), "model_overloaded");
    let plan = spans.one_below(failed, "stage plan");
    let chat = spans.one_below(plan, "chat claude-opus-5-5");
    assert!(plan.is_error && chat.is_error);
    assert_eq!(chat.attribute("error.type"), "model_overloaded");

    let attempts = spans.named("job.attempt");
    let next = attempts.iter().find(|attempt| attempt.id != failed.id).expect("a second one");
    let link = |span: &Span| (span.trace_id.clone(), span.id.clone());
    assert_eq!((next.parent_id.as_str(), next.is_error), ("", false));
    assert_eq!(next.links, [link(request), link(failed)]);
    assert!(spans.0.iter().all(|span| span.attribute("job.id") == id));
}

#[tokio::test]
async fn a_retry_through_the_api_goes_on_with_the_trace_of_its_request() {
    let world = World::new(away_at(0, 400)).await;
    let collector = Collector::start().await;
    let server = world.serve_as("serve", &variables(collector.url())).await;
    let id = post(&server, "/analyze/", TRACEPARENT, &seed(&world.repo_url)).await["id"].clone();
    assert_eq!(server.wait(&id).await["status"], "failed");
    let again = "00-11111111111111111111111111111111-2222222222222222-01";
    let path = format!("/jobs/{}/retry", id.as_str().expect("an id"));
    assert_eq!(post(&server, &path, again, &json!({})).await["traceId"], "1".repeat(32));
    let job = server.wait(&id).await;
    assert_eq!((&job["status"], &job["traceId"]), (&json!("succeeded"), &json!("1".repeat(32))), "{job:#}");
    server.terminate().await;

    let spans = Spans(collector.spans());
    let retry = spans.one("POST /jobs/{id}/retry");
    assert_eq!((retry.trace_id.as_str(), retry.parent_id.as_str()), ("1".repeat(32).as_str(), "2".repeat(16).as_str()));
    let attempt = spans.one_below(retry, "job.attempt");
    assert_eq!((attempt.links.len(), attempt.is_error), (0, false));
    assert!(spans.one_below(spans.one("POST /analyze/"), "job.attempt").is_error);
}
