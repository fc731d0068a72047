//! A collector of traces: OTLP over HTTP on loopback, in the form of `opentelemetry-proto`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span as WireSpan;
use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Longest wait for a span that must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A collector that takes everything.
pub(super) struct Collector {
    url: String,
    requests: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    arrivals: watch::Receiver<usize>,
}

/// One span as it came.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) trace_id: String,
    pub(super) id: String,
    /// Empty at the root of a trace.
    pub(super) parent_id: String,
    /// By the numbers of the protocol.
    pub(super) kind: i32,
    pub(super) is_error: bool,
    /// Each with all the values it was given.
    pub(super) attributes: BTreeMap<String, Vec<Value>>,
    /// Trace and span.
    pub(super) links: Vec<(String, String)>,
    pub(super) resource: BTreeMap<String, Vec<Value>>,
}

impl Collector {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let requests: Arc<Mutex<Vec<_>>> = Arc::default();
        let (arrived, arrivals) = watch::channel(0);
        let take = async |State(state): State<(Arc<Mutex<Vec<_>>>, watch::Sender<usize>)>, headers, body: Bytes| {
            let (requests, arrived) = state;
            requests.lock().expect("whole").push((headers, body));
            arrived.send_modify(|count| *count += 1);
        };
        let app = Router::new().route("/v1/traces", post(take)).with_state((requests.clone(), arrived));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, requests, arrivals }
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// Every request's headers and body.
    pub(super) fn requests(&self) -> Vec<(HeaderMap, Bytes)> {
        self.requests.lock().expect("whole").clone()
    }

    /// Every span so far.
    pub(super) fn spans(&self) -> Vec<Span> {
        let messages =
            self.requests().into_iter().map(|(_, body)| ExportTraceServiceRequest::decode(body).expect("OTLP"));
        let resources = messages.flat_map(|message| message.resource_spans);
        let spans = resources.flat_map(|of_resource| {
            let resource = attributes(of_resource.resource.map(|resource| resource.attributes).unwrap_or_default());
            let spans = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
            spans.map(move |span| Span::read(span, &resource)).collect::<Vec<_>>()
        });
        spans.collect()
    }

    /// Waits until such a span has come.
    pub(super) async fn until(&self, is_it: impl Fn(&Span) -> bool) -> Span {
        let mut arrivals = self.arrivals.clone();
        let found = async {
            loop {
                arrivals.mark_unchanged();
                if let Some(span) = self.spans().into_iter().find(|span| is_it(span)) {
                    return span;
                }
                arrivals.changed().await.expect("the collector runs");
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| {
            panic!("no such span: {:#?}", self.spans().iter().map(|span| &span.name).collect::<Vec<_>>())
        })
    }
}

impl Span {
    fn read(span: WireSpan, resource: &BTreeMap<String, Vec<Value>>) -> Self {
        Self {
            name: span.name,
            trace_id: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent_id: hex(&span.parent_span_id),
            kind: span.kind,
            is_error: span.status.is_some_and(|status| status.code == 2),
            attributes: attributes(span.attributes),
            links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
            resource: resource.clone(),
        }
    }

    /// The one value of an attribute; null when there is none.
    pub(super) fn attribute(&self, name: &str) -> Value {
        match self.attributes.get(name).map(Vec::as_slice) {
            None => Value::Null,
            Some([value]) => value.clone(),
            Some(values) => panic!("{}: `{name}` has several values: {values:?}", self.name),
        }
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, Vec<Value>> {
    let mut attributes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for pair in pairs {
        attributes.entry(pair.key).or_default().push(pair.value.map(json_of).unwrap_or_default());
    }
    attributes
}

fn json_of(value: AnyValue) -> Value {
    match value.value {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(is)) => json!(is),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::ArrayValue(array)) => array.values.into_iter().map(json_of).collect(),
        other => panic!("not an attribute of ours: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
