//! Logs on stderr, because stdout belongs to the diff; traces to a collector, when one is configured.
//!
//! `telemetry/lines.rs` is what a log line looks like, `telemetry/traces.rs` where spans go. What is logged, and the
//! tree of spans, is described in `docs/LOGGING.md`.

mod collector;
mod job_spans;
mod lines;
mod traces;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, warn};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use self::lines::Lines;
use crate::config::{Config, TraceExport};

/// How long the end of the process may wait for a collector to take the last spans.
const LONGEST_FLUSH: Duration = Duration::from_secs(2);

/// The crates whose spans are part of a trace, and name the job of a log line.
const OWN_CRATES: [&str; 6] = ["tinygen", "api", "worker", "jobs", "pipeline", "egress"];

/// Running telemetry. Must be stopped outside of any async runtime.
pub(crate) struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging what `filter` lets through, and tracing if that is configured.
    ///
    /// # Errors
    /// When the filter or a variable of OpenTelemetry does not read.
    pub(crate) fn start(config: &Config, filter: &str) -> anyhow::Result<Self> {
        let events = EnvFilter::try_new(filter).with_context(|| format!("TINYGEN_LOG does not read: `{filter}`"))?;
        let traces = match &config.trace_export {
            TraceExport::Http { timeout } => Some(traces::start(*timeout)?),
            TraceExport::Off | TraceExport::Unsupported(_) => None,
        };
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .fmt_fields(JsonFields::new())
            .event_format(Lines { format: config.log_format });
        let spans = traces.as_ref().map(|provider| {
            // What a span's field cannot say is not worth its bytes: where in our code it was made, and on which thread.
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("tinygen"))
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                .with_tracked_inactivity(false)
        });
        let layers = lines.and_then(spans).with_filter(events.or(filter_fn(is_own_span)));
        Registry::default().with(layers).try_init().context("logging was started twice")?;
        if let TraceExport::Unsupported(protocol) = &config.trace_export {
            warn!(
                "Traces are off: OTEL_EXPORTER_OTLP_PROTOCOL is `{protocol}`, and tinygen sends `http/protobuf`: set it to \
                 that, and the endpoint to the collector's port for HTTP, which is 4318 by default"
            );
        }
        Ok(Self { traces })
    }

    /// Sends the spans that wait, for two seconds at most.
    pub(crate) fn stop(self) {
        // A collector that is away was told of when it went.
        let _ = self.traces.map(|provider| provider.shutdown_with_timeout(LONGEST_FLUSH));
    }
}

/// Our spans count whatever is logged: a warning must still say which job it is about.
fn is_own_span(metadata: &Metadata<'_>) -> bool {
    let owner = metadata.target().split("::").next().unwrap_or_default();
    metadata.is_span() && *metadata.level() <= Level::INFO && OWN_CRATES.contains(&owner)
}
