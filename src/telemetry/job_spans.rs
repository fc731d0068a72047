//! What does not get from `tracing` to OpenTelemetry by itself: that a span belongs to the job of the span above it, that
//! a value is a list, and that one without a sign is a number.

use std::time::Duration;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::Span as _;
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use trace_context::JOB_ID;

/// A list of strings by OpenTelemetry's conventions. A model stops once.
const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";

/// Attributes that are whole numbers, by name or by the start of it. Unsigned ones arrive as text, because OpenTelemetry
/// knows signed ones only.
const WHOLE_NUMBERS: [&str; 10] = [
    "gen_ai.request.max_tokens",
    "gen_ai.usage.",
    "http.response.status_code",
    "job.attempt",
    "job.rescues",
    "repo.bytes",
    "repo.files",
    "repo.objects",
    "server.port",
    "turn",
];

/// Completes spans on their way to the next processor.
#[derive(Debug)]
pub(super) struct JobSpans<P> {
    next: P,
}

impl<P> JobSpans<P> {
    pub(super) fn new(next: P) -> Self {
        Self { next }
    }
}

impl<P: SpanProcessor> SpanProcessor for JobSpans<P> {
    fn on_start(&self, span: &mut Span, parent: &Context) {
        if let Some(job_id) = parent.baggage().get(JOB_ID) {
            span.set_attribute(KeyValue::new(JOB_ID, job_id.clone()));
        }
        self.next.on_start(span, parent);
    }

    fn on_end(&self, mut span: SpanData) {
        // A span that was given its job's id by the code that made it has it twice now.
        let mut has_job_id = false;
        span.attributes.retain(|attribute| {
            let is_repeated = attribute.key.as_str() == JOB_ID && std::mem::replace(&mut has_job_id, true);
            !is_repeated
        });
        for KeyValue { key, value, .. } in &mut span.attributes {
            if key.as_str() == FINISH_REASONS {
                *value = Value::Array(Array::String(vec![StringValue::from(value.as_str().into_owned())]));
            } else if WHOLE_NUMBERS.iter().any(|name| key.as_str().starts_with(name)) {
                let number = value.as_str().parse::<i64>();
                *value = number.map_or_else(|_| value.clone(), Value::I64);
            }
        }
        self.next.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}
