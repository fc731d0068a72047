//! Where spans go: through a batch, on a thread of its own, to a collector that speaks OTLP over HTTP.

use std::time::Duration;

use anyhow::Context;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};

use super::collector::Collector;
use super::job_spans::JobSpans;

/// How the SDK begins the name of a service that nobody named.
const UNNAMED: &str = "unknown_service";

/// Starts sending. The SDK reads the standard variables itself: endpoint, headers, compression, sampler, batch sizes.
///
/// # Errors
/// When one of them does not read.
pub(super) fn start(timeout: Duration) -> anyhow::Result<SdkTracerProvider> {
    let collector = Collector::new(timeout).context("cannot set the client of the collector up")?;
    let exporter = SpanExporter::builder().with_http().with_http_client(collector).build();
    let exporter = exporter.context("a variable OTEL_EXPORTER_OTLP_… does not read")?;
    let processor = JobSpans::new(BatchSpanProcessor::builder(exporter).build());
    Ok(SdkTracerProvider::builder().with_resource(resource()).with_span_processor(processor).build())
}

/// Who we are: what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say, or else our name and version.
fn resource() -> Resource {
    let given = Resource::builder().build();
    let is_given =
        |name: &str| given.get(&Key::new(name.to_owned())).is_some_and(|value| !value.as_str().starts_with(UNNAMED));
    let own = [("service.name", env!("CARGO_PKG_NAME")), ("service.version", env!("CARGO_PKG_VERSION"))];
    let missing = own.into_iter().filter(|(name, _)| !is_given(name)).map(|(name, value)| KeyValue::new(name, value));
    Resource::builder().with_attributes(missing).build()
}
