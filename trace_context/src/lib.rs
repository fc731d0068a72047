//! Carries a trace from one process to the next, as text: the `traceparent` of W3C Trace Context.
//!
//! Spans are made with `tracing` wherever the work is; this crate is the one place where code that does work meets
//! OpenTelemetry. While traces are off nothing here does anything, and [`current`] has nothing to give.

use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const TRACEPARENT: &str = "traceparent";

/// The attribute of every span that belongs to a job, and the baggage that brings it to the spans below.
pub const JOB_ID: &str = "job.id";

/// The context of the current span, for another process to go on from.
pub fn current() -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// Makes `span` a child of the span that `traceparent` names; a text that does not read changes nothing. Must be called
/// before the span is entered.
pub fn continue_from(span: &Span, traceparent: &str) {
    set_parent(span, read(traceparent));
}

/// Makes `span` the work on a job: it and all spans below it carry the job's id. It is a child of the span that `parent`
/// names, or else the root of a trace. Must be called before the span is entered.
pub fn begin_job(span: &Span, job_id: &str, parent: Option<&str>) {
    let parent = parent.map(read).unwrap_or_default();
    set_parent(span, parent.with_baggage([KeyValue::new(JOB_ID, job_id.to_owned())]));
}

/// Links `span` to the span that `traceparent` names.
pub fn link(span: &Span, traceparent: &str) {
    span.add_link(read(traceparent).span().span_context().clone());
}

/// The id of the trace that `traceparent` belongs to: 32 hexadecimal digits.
pub fn trace_id(traceparent: &str) -> Option<String> {
    let context = read(traceparent);
    context.has_active_span().then(|| context.span().span_context().trace_id().to_string())
}

fn read(traceparent: &str) -> Context {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

fn set_parent(span: &Span, parent: Context) {
    // It fails when traces are off, or when nobody wants this span: then there is nothing to set.
    let _ = span.set_parent(parent);
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::info_span;
    use tracing::subscriber::with_default;
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const TRACEPARENT_OF_CLIENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn traced<T>(work: impl FnOnce() -> T) -> T {
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        with_default(Registry::default().with(tracing_opentelemetry::layer().with_tracer(tracer)), work)
    }

    fn context_in(span: &Span) -> String {
        span.in_scope(current).expect("traces are on")
    }

    #[test]
    fn a_trace_goes_on_from_its_text() {
        traced(|| {
            let request = info_span!("request");
            continue_from(&request, TRACEPARENT_OF_CLIENT);
            let text = context_in(&request);
            assert_eq!(trace_id(&text).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
            assert_ne!(text, TRACEPARENT_OF_CLIENT, "the span is a new one");

            let attempt = info_span!("attempt");
            begin_job(&attempt, "a job", Some(&text));
            assert_eq!(trace_id(&context_in(&attempt)), trace_id(&text));
        });
    }

    #[test]
    fn what_a_client_did_not_sample_is_not_sampled() {
        traced(|| {
            let request = info_span!("request");
            continue_from(&request, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
            assert!(context_in(&request).ends_with("-00"));
        });
    }

    #[test]
    fn what_does_not_read_begins_a_trace() {
        for text in ["", "00-0-0-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "x\u{e9}"] {
            traced(|| {
                let span = info_span!("request");
                continue_from(&span, text);
                link(&span, text);
                assert!(trace_id(&context_in(&span)).is_some());
            });
            assert_eq!(trace_id(text), None);
        }
    }

    #[test]
    fn the_job_reaches_every_span_below() {
        traced(|| {
            let attempt = info_span!("attempt");
            begin_job(&attempt, "a job", None);
            let stage = attempt.in_scope(|| info_span!("stage"));
            let baggage = stage.context().baggage().get(JOB_ID).map(ToString::to_string);
            assert_eq!(baggage.as_deref(), Some("a job"));
        });
    }

    #[test]
    fn does_nothing_while_traces_are_off() {
        with_default(Registry::default(), || {
            let span = info_span!("request");
            continue_from(&span, TRACEPARENT_OF_CLIENT);
            link(&span, TRACEPARENT_OF_CLIENT);
            assert_eq!(span.in_scope(current), None);
        });
    }
}
