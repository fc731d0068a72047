//! What receivers of webhooks are sent, under `webhooks` of the description.
//!
//! The messages themselves are written in the crate `jobs`, in the transaction of their event.

#![expect(dead_code, reason = "these types are only the form of what `jobs` writes")]

use std::collections::BTreeMap;

use domain::{FailureCode, JobStatus, Outcome, Priority};
use jobs::{EventKind, TEST_EVENT, WEBHOOK_EVENTS};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{
    AllOfBuilder, Components, Content, Object, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Schema, Type,
};
use utoipa::{PartialSchema, ToSchema};

use super::names::one_of;
use crate::wire::{Timestamp, UsageBody};

const ABOUT: &str = "Signed as Standard Webhooks 1.0.0 has it, sent at least once, and about one job in the order of \
its events. Any status from 200 to 299 within the deadline takes it; 410 disables the webhook; after anything else it is \
sent again.";

/// The headers of a message.
const HEADERS: [(&str, &str); 3] = [
    ("webhook-id", "The message: the same however often it is sent."),
    ("webhook-timestamp", "When this attempt was made, in seconds since 1970."),
    ("webhook-signature", "`v1,` and the signature in Base64, once for each valid secret, with blanks between them."),
];

/// A message about a job.
#[derive(ToSchema)]
pub(crate) struct WebhookMessage {
    /// What happened.
    #[serde(rename = "type")]
    #[schema(value_type = super::WebhookEventName)]
    kind: String,
    /// When.
    timestamp: Timestamp,
    /// The job as it stood then, without its prompt and its diff.
    data: WebhookJob,
}

/// A job in a message.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
struct WebhookJob {
    /// The job's id: a UUID v7.
    #[schema(format = Uuid)]
    id: String,
    /// Where it stood.
    status: JobStatus,
    /// The number of the event: what is older than what the receiver has can be left out.
    version: u64,
    /// The latest attempt.
    attempt: u32,
    /// The last attempt there may be.
    max_attempts: u32,
    /// Where the repository is.
    repo_url: String,
    /// Branch, tag or commit that was asked for.
    #[serde(rename = "ref")]
    #[schema(required)]
    git_ref: Option<String>,
    /// Model that was asked for.
    #[schema(required)]
    model: Option<String>,
    /// How urgent it is among its owner's jobs.
    priority: Priority,
    /// What its client gave with it, whole.
    metadata: BTreeMap<String, String>,
    /// The stage that is done; only with `stage.succeeded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    stage: Option<String>,
    /// What came out; only of a job that succeeded.
    #[schema(required)]
    result: Option<WebhookResult>,
    /// Why it failed, or why its last attempt did.
    #[schema(required)]
    error: Option<WebhookError>,
    /// What all calls to the model used and cost so far.
    usage: UsageBody,
    /// When the job was accepted.
    created_at: Timestamp,
    /// When its first attempt began.
    #[schema(required)]
    started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(required)]
    finished_at: Option<Timestamp>,
    /// Where to go from here.
    links: WebhookJobLinks,
}

/// A result in a message. The diff itself is at `links.diff`.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
struct WebhookResult {
    /// Whether there is a diff.
    outcome: Outcome,
    /// Whether a review approved exactly this diff and every machine check passed.
    verified: bool,
    /// The commit the job worked on.
    base_commit: String,
    /// Id of its tree.
    base_tree: String,
    /// Id of the tree after the change.
    result_tree: String,
    /// SHA-256 of the diff, in hexadecimal.
    patch_sha256: String,
    /// How many files the diff touches.
    file_count: u64,
    /// How many flags there are.
    flag_count: u64,
    /// What was done and why; shortened when it is long.
    summary: String,
}

/// A failure in a message.
#[derive(ToSchema)]
struct WebhookError {
    /// The kind of failure, for programs.
    #[schema(value_type = FailureName)]
    code: String,
    /// What happened; shortened when it is long.
    detail: String,
    /// Whether another attempt may well succeed.
    retryable: bool,
}

/// The addresses of a job in a message, as paths on this server.
#[derive(ToSchema)]
struct WebhookJobLinks {
    /// The job.
    #[serde(rename = "self")]
    own: String,
    /// Its diff.
    diff: String,
}

/// A message that proves that a webhook can be reached.
#[derive(ToSchema)]
pub(crate) struct WebhookTest {
    /// What it is.
    #[serde(rename = "type")]
    #[schema(value_type = super::TestName)]
    kind: String,
    /// When it was asked for.
    timestamp: Timestamp,
    /// The webhook.
    data: WebhookTestData,
}

/// What is sent to a receiver.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum WebhookPayload {
    /// A message about a job.
    Job(Box<WebhookMessage>),
    /// A test.
    Test(WebhookTest),
}

/// The webhook that is tested.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
struct WebhookTestData {
    /// The webhook's id: a UUID v7.
    #[schema(format = Uuid)]
    webhook_id: String,
}

/// The kind of a job's failure.
struct FailureName;

impl PartialSchema for FailureName {
    fn schema() -> RefOr<Schema> {
        one_of("The kind of a job's failure.", FailureCode::ALL.iter().map(|code| code.as_str()))
    }
}

impl ToSchema for FailureName {}

/// Every message, and what a receiver answers.
pub(super) fn describe(components: &mut Components) -> Paths {
    add_schema::<WebhookMessage>(components);
    add_schema::<WebhookTest>(components);
    let mut paths = Paths::new();
    for kind in WEBHOOK_EVENTS {
        let message = message::<WebhookMessage>(kind.as_str(), about(kind));
        paths.paths.insert(kind.as_str().to_owned(), message);
    }
    let test = message::<WebhookTest>(TEST_EVENT, "Somebody asked for a test.");
    paths.paths.insert(TEST_EVENT.to_owned(), test);
    paths
}

fn about(kind: EventKind) -> &'static str {
    match kind {
        EventKind::JobStarted => "A worker began an attempt at a job.",
        EventKind::StageSucceeded => "A stage of a job is done and stored.",
        EventKind::JobSucceeded => "A job ended with a result.",
        EventKind::JobFailed => "A job ended with a failure.",
        EventKind::JobCanceled => "A job ended because somebody asked for it.",
        _ => "Something happened to a job.",
    }
}

fn message<T: ToSchema>(name: &str, summary: &str) -> PathItem {
    let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([name]));
    let kind = ObjectBuilder::new().property("type", name);
    let schema = AllOfBuilder::new().item(Ref::from_schema_name(T::name())).item(kind);
    let body = RequestBodyBuilder::new()
        .content("application/json", Content::new(Some(schema)))
        .required(Some(Required::True))
        .build();
    let taken = ResponseBuilder::new().description("Any status from 200 to 299: the receiver has it.").build();
    let mut operation = OperationBuilder::new()
        .tag("webhooks")
        .summary(Some(summary))
        .description(Some(ABOUT))
        .request_body(Some(body))
        .response("2XX", taken)
        .build();
    let header = |(name, description): (&str, &str)| {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(Required::True);
        let schema = Object::with_type(Type::String);
        RefOr::T(parameter.description(Some(description)).schema(Some(schema)).build())
    };
    let trace = ParameterBuilder::new().name("traceparent").parameter_in(ParameterIn::Header);
    let trace = trace.required(Required::False).schema(Some(Object::with_type(Type::String)));
    let trace =
        trace.description(Some("The trace of the request that asked for the job (W3C Trace Context), if it has one."));
    operation.parameters = Some(HEADERS.into_iter().map(header).chain([RefOr::T(trace.build())]).collect());
    PathItem::new(HttpMethod::Post, operation)
}

fn add_schema<T: ToSchema>(components: &mut Components) {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    components.schemas.extend(schemas);
}
