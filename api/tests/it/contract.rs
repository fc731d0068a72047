//! Holds every answer that a test gets to the description of the API: its status, its headers and its body.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;

use boon::{Compiler, SchemaIndex, Schemas};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::Answer;
use crate::sse::Event;

const STREAM: &str = "text/event-stream";

/// What hyper adds (`connection: close` when the server is about to end), and what `content` describes.
const OF_HTTP: [&str; 5] = ["connection", "content-length", "content-type", "date", "transfer-encoding"];

static DESCRIPTION: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&api::description()).expect("the description is JSON"));

/// A place in the description, as a JSON pointer (RFC 6901).
#[derive(Clone)]
struct Place(String);

impl Place {
    fn child(&self, name: &str) -> Self {
        Self(format!("{}/{}", self.0, name.replace('~', "~0").replace('/', "~1")))
    }

    /// What is there, after every reference on the way.
    fn resolved(self) -> Option<(Self, &'static Value)> {
        let value = DESCRIPTION.pointer(&self.0)?;
        match value["$ref"].as_str() {
            Some(reference) => Self(reference.trim_start_matches('#').to_owned()).resolved(),
            None => Some((self, value)),
        }
    }
}

/// Checks an answer to a request.
///
/// # Panics
/// When the description does not allow it.
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let name = format!("{method} {path}");
    let Some(operation) = operation(method, path) else {
        let is_preflight = *method == Method::OPTIONS && answer.header("access-control-allow-methods").is_some();
        let is_page = path == "/openapi.json" || path.starts_with("/docs");
        let is_known = is_page || is_preflight || matches!(answer.status, 404 | 405);
        return assert!(is_known, "{name} is not described and answers {}", answer.status);
    };
    let response = operation.child("responses").child(&answer.status.to_string()).resolved();
    let (place, response) = response.unwrap_or_else(|| panic!("{name} is not said to answer {}", answer.status));
    check_headers(&format!("{name} {}", answer.status), &place, response, answer);
    let Some(content) = response["content"].as_object().filter(|_| method != Method::HEAD) else {
        return assert!(answer.body.is_empty(), "{name} {} is said to have no body", answer.status);
    };
    let kind = answer.header("content-type").and_then(|kind| kind.split(';').next()).unwrap_or_default();
    assert!(content.contains_key(kind), "{name} {} is not said to be {kind}", answer.status);
    let schema = place.child("content").child(kind).child("schema");
    if kind.ends_with("json") {
        assert_valid(&format!("{name} {}", answer.status), &schema, &answer.json());
    }
}

/// Checks a message of a job's stream.
///
/// # Panics
/// When the description does not allow it.
pub(crate) fn check_message(event: &Event) {
    assert_valid(&format!("{} of a stream", event.kind), &message_schema(), &message(event));
}

fn message_schema() -> Place {
    let operation = Place(String::new()).child("paths").child("/jobs/{id}/events").child("get");
    operation.child("responses").child("200").child("content").child(STREAM).child("schema")
}

fn message(event: &Event) -> Value {
    let mut message = json!({ "event": event.kind, "data": event.data });
    if let Some(id) = event.id {
        message["id"] = id.to_string().into();
    }
    message
}

/// The operation that a request is for.
fn operation(method: &Method, path: &str) -> Option<Place> {
    let path = if path == "/analyze" { "/analyze/" } else { path };
    let parts: Vec<&str> = path.split('/').collect();
    let is_template = |template: &&String| {
        let template: Vec<&str> = template.split('/').collect();
        template.len() == parts.len() && template.iter().zip(&parts).all(|(of, part)| of.starts_with('{') || of == part)
    };
    let paths = DESCRIPTION["paths"].as_object().expect("paths");
    // What is written out comes before what is to be filled in.
    let template = paths.keys().filter(is_template).min_by_key(|template| template.matches('{').count())?;
    let method = if method == Method::HEAD { "get".to_owned() } else { method.as_str().to_lowercase() };
    Place("/paths".to_owned()).child(template).child(&method).resolved().map(|(place, _)| place)
}

fn check_headers(name: &str, place: &Place, response: &Value, answer: &Answer) {
    let described = response["headers"].as_object().expect("every answer has headers");
    for header in described.keys() {
        let (at, described) = place.child("headers").child(header).resolved().expect("a header");
        match answer.header(header) {
            None => assert_ne!(described["required"], true, "{name} has no {header}"),
            Some(value) => {
                let is_text = described["schema"]["type"] == "string";
                let value = if is_text { value.into() } else { serde_json::from_str(value).expect(name) };
                assert_valid(&format!("{header} of {name}"), &at.child("schema"), &value);
            }
        }
    }
    for header in answer.headers.keys().map(reqwest::header::HeaderName::as_str) {
        let is_described = described.keys().any(|name| name.eq_ignore_ascii_case(header));
        let is_common = OF_HTTP.contains(&header) || is_of_cors(header);
        assert!(is_described || is_common, "{name} is not said to have {header}");
    }
}

/// Only of a server whose operator names origins, of which the description tells in words.
fn is_of_cors(header: &str) -> bool {
    header == "vary" || header.starts_with("access-control-")
}

fn assert_valid(name: &str, schema: &Place, value: &Value) {
    thread_local!(static SCHEMAS: RefCell<CompiledSchemas> = RefCell::new(CompiledSchemas::new()));
    let checked = SCHEMAS.with_borrow_mut(|schemas| schemas.check(schema, value));
    checked.unwrap_or_else(|error| panic!("{name}: {error}\n{value:#}"));
}

/// The description as schemas, each compiled when it is first needed.
struct CompiledSchemas {
    compiler: Compiler,
    schemas: Schemas,
    known: HashMap<String, SchemaIndex>,
}

impl CompiledSchemas {
    fn new() -> Self {
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.enable_content_assertions();
        compiler.add_resource("http://api/openapi.json", DESCRIPTION.clone()).expect("an address");
        Self { compiler, schemas: Schemas::new(), known: HashMap::new() }
    }

    fn check(&mut self, Place(pointer): &Place, value: &Value) -> Result<(), String> {
        let index = *self.known.entry(pointer.clone()).or_insert_with(|| {
            let escaped = pointer.split('/').map(|part| utf8_percent_encode(part, NON_ALPHANUMERIC).to_string());
            let address = format!("http://api/openapi.json#{}", escaped.collect::<Vec<_>>().join("/"));
            self.compiler.compile(&address, &mut self.schemas).unwrap_or_else(|error| panic!("{pointer}: {error:#}"))
        });
        self.schemas.validate(value, index).map_err(|error| format!("{error:#}"))
    }
}

/// The checks above can fail.
#[test]
fn a_message_that_is_not_described_is_found() {
    let schema = message_schema();
    let mut schemas = CompiledSchemas::new();
    let mut check = |data: &Value, kind: &str, id: Option<u64>| {
        let event = Event { id, kind: kind.to_owned(), data: data.to_string() };
        schemas.check(&schema, &message(&event))
    };
    let id = domain::JobId::new();
    let queued = json!({ "type": "job.queued", "jobId": id, "seq": 1, "at": "2026-09-04T12:30:00.000Z" });
    assert_eq!(check(&queued, "job.queued", Some(1)), Ok(()));
    assert!(check(&queued, "job.lost", Some(1)).is_err(), "no such event");
    for (field, wrong) in
        [("jobId", json!("7")), ("seq", json!("1")), ("at", json!("now")), ("type", json!("job.lost"))]
    {
        let mut data = queued.clone();
        data[field] = wrong;
        assert!(check(&data, "job.queued", Some(1)).is_err(), "{data}");
    }
    let delta = json!({ "type": "stage.delta", "jobId": id, "at": "2026-09-04T12:30:00.000Z", "stage": "plan" });
    assert!(check(&delta, "stage.delta", None).is_err(), "a delta without its text");
}
