//! What a log line looks like: an object for programs, a text for people.
//!
//! Both show the same fields, flat: the event's own and those of the spans around it, so that each line of a job names
//! the job, whichever crate logged it.

use std::error::Error;
use std::fmt::{self, Debug, Write as _};

use opentelemetry::trace::TraceContextExt as _;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, dispatcher};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::config::LogFormat;

/// Fields of spans that only traces have a use for.
const ONLY_FOR_TRACES: [&str; 4] = ["otel.", "messaging.", "db.", "url.scheme"];

/// Where an event's text is among its fields.
const MESSAGE: &str = "message";

/// Writes log lines.
pub(super) struct Lines {
    pub(super) format: LogFormat,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut own = Fields::default();
        event.record(&mut own);
        let message = own.0.shift_remove(MESSAGE).unwrap_or_default();
        let around = fields_of_spans(context);
        match self.format {
            LogFormat::Json => {
                let mut line = Map::new();
                line.insert("timestamp".to_owned(), timestamp()?.into());
                line.insert("level".to_owned(), event.metadata().level().as_str().into());
                line.insert("target".to_owned(), event.metadata().target().into());
                line.insert(MESSAGE.to_owned(), message);
                line.extend(around);
                line.extend(own.0);
                line.extend(trace_ids(context).into_iter().flatten());
                writeln!(writer, "{}", Value::Object(line))
            }
            LogFormat::Text => {
                write!(writer, "{} ", timestamp()?)?;
                write_level(&mut writer, *event.metadata().level())?;
                write!(writer, " {}: ", event.metadata().target())?;
                write_escaped(&mut writer, message.as_str().unwrap_or_default())?;
                let is_own = |name: &String| own.0.contains_key(name);
                for (name, value) in own.0.iter().chain(around.iter().filter(|(name, _)| !is_own(name))) {
                    write!(writer, " {name}=")?;
                    write_value(&mut writer, value)?;
                }
                writeln!(writer)
            }
        }
    }
}

fn timestamp() -> Result<String, fmt::Error> {
    let mut text = String::new();
    SystemTime.format_time(&mut Writer::new(&mut text))?;
    Ok(text)
}

fn write_level(writer: &mut Writer<'_>, level: Level) -> fmt::Result {
    let color = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    if writer.has_ansi_escapes() {
        write!(writer, "\x1b[{color}m{level:>5}\x1b[0m")
    } else {
        write!(writer, "{level:>5}")
    }
}

/// A message may quote what came from outside: it must not steer a terminal or begin a line of its own.
fn write_escaped(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    text.chars()
        .try_for_each(|c| if c.is_control() { write!(writer, "{}", c.escape_default()) } else { writer.write_char(c) })
}

/// A word stands as it is; anything else in quotes, as JSON has it.
fn write_value(writer: &mut Writer<'_>, value: &Value) -> fmt::Result {
    let is_word = |text: &&str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '=');
    match value.as_str().filter(is_word) {
        Some(word) => writer.write_str(word),
        None => write!(writer, "{value}"),
    }
}

/// The fields of the spans around an event; where two have the same, the inner one's.
fn fields_of_spans<S, N>(context: &FmtContext<'_, S, N>) -> Map<String, Value>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut fields = Map::new();
    for span in context.event_scope().into_iter().flat_map(Scope::from_root) {
        let extensions = span.extensions();
        let written = extensions.get::<FormattedFields<N>>().map_or("", |fields| fields.as_str());
        // They were written as JSON, by `JsonFields`.
        if let Ok(Value::Object(of_span)) = serde_json::from_str(written) {
            fields.extend(of_span.into_iter().filter(|(name, _)| is_for_logs(name)));
        }
    }
    fields
}

fn is_for_logs(name: &str) -> bool {
    !ONLY_FOR_TRACES.iter().any(|prefix| name.starts_with(prefix))
}

/// `trace_id` and `span_id`, by OpenTelemetry's rules for logs that are not its own; nothing while traces are off.
fn trace_ids<S, N>(context: &FmtContext<'_, S, N>) -> Option<[(String, Value); 2]>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let span = context.lookup_current()?.id();
    let context = dispatcher::get_default(|dispatch| get_otel_context(&span, dispatch))?;
    let (span, name) = (context.span().span_context().clone(), str::to_owned);
    span.is_valid().then(|| {
        [(name("trace_id"), span.trace_id().to_string().into()), (name("span_id"), span.span_id().to_string().into())]
    })
}

/// An event's fields as JSON. An error is told with its causes.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            // A write to a string does not fail.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.put(field, text);
    }
}
