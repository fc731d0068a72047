//! Keeps what the crates count, and writes it as text that Prometheus reads.
//!
//! The crates record through the facade `metrics`, where the thing happens, and know nothing of this one. A process whose
//! figures can be asked for calls [`Exposition::install`] at its start; in any other nothing is kept. The text is
//! Prometheus' exposition format 0.0.4, which every scraper reads.

mod definition;
mod histogram;

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use metrics::{Counter, Gauge, Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};

use crate::histogram::Histogram;

pub use definition::{METRICS, Metric, MetricKind};

const NANOS_PER_DOLLAR: f64 = 1e9;

/// What was counted in this process. Clones are of the same figures.
#[derive(Debug, Clone)]
pub struct Exposition(Arc<Vec<Family>>);

/// A metric with its series, one for each set of values of its labels.
#[derive(Debug)]
struct Family {
    metric: &'static Metric,
    series: RwLock<BTreeMap<Vec<Label>, Series>>,
}

#[derive(Debug, Clone)]
enum Series {
    /// A count, or the bits of a gauge.
    Number(Arc<AtomicU64>),
    Histogram(Arc<Histogram>),
}

/// The facade takes one recorder a process, for good.
static INSTALLED: LazyLock<Exposition> = LazyLock::new(|| {
    let exposition = Exposition::new();
    metrics::set_global_recorder(exposition.clone()).expect("no other recorder is part of the program");
    exposition
});

impl Exposition {
    /// Keeps what is counted in this process from now on. Once is enough; more often is the same.
    pub fn install() -> Self {
        INSTALLED.clone()
    }

    fn new() -> Self {
        let families: Vec<_> = METRICS.iter().map(|metric| Family { metric, series: RwLock::default() }).collect();
        // A count begins at 0, not with the first event: a rate over its first minute would miss that one.
        for family in families.iter().filter(|family| family.metric.labels.is_empty()) {
            family.series(&[]);
        }
        Self(Arc::new(families))
    }

    /// The series that a key names, if its metric is one of those there are.
    fn series(&self, key: &Key) -> Option<(MetricKind, Series)> {
        let family = self.0.iter().find(|family| family.metric.name == key.name())?;
        let labels: Vec<_> = key.labels().cloned().collect();
        let is_fit = labels.iter().map(Label::key).eq(family.metric.labels.iter().copied());
        debug_assert!(is_fit, "`{}` has the labels {:?}", family.metric.name, family.metric.labels);
        is_fit.then(|| (family.metric.kind, family.series(&labels)))
    }
}

/// All figures, as Prometheus reads them.
impl Display for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|family| family.fmt(f))
    }
}

impl Family {
    fn series(&self, labels: &[Label]) -> Series {
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner).get(labels).cloned();
        known.unwrap_or_else(|| {
            let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
            series.entry(labels.to_vec()).or_insert_with(|| self.new_series()).clone()
        })
    }

    fn new_series(&self) -> Series {
        match self.metric.kind {
            MetricKind::Counter | MetricKind::Dollars => Series::Number(Arc::default()),
            MetricKind::Gauge => Series::Number(Arc::new(AtomicU64::new(f64::NAN.to_bits()))),
            MetricKind::Histogram(bounds) => Series::Histogram(Arc::new(Histogram::new(bounds))),
        }
    }

    fn write_number(&self, f: &mut fmt::Formatter<'_>, labels: &[Label], bits: u64) -> fmt::Result {
        let (name, labels) = (self.metric.name, Labels(labels, None));
        #[expect(clippy::cast_precision_loss, reason = "a float is what Prometheus makes of any number")]
        match self.metric.kind {
            MetricKind::Dollars => writeln!(f, "{name}{labels} {}", bits as f64 / NANOS_PER_DOLLAR),
            MetricKind::Gauge if f64::from_bits(bits).is_nan() => Ok(()),
            MetricKind::Gauge => writeln!(f, "{name}{labels} {}", f64::from_bits(bits)),
            MetricKind::Counter | MetricKind::Histogram(_) => writeln!(f, "{name}{labels} {bits}"),
        }
    }

    fn write_histogram(&self, f: &mut fmt::Formatter<'_>, labels: &[Label], histogram: &Histogram) -> fmt::Result {
        let name = self.metric.name;
        let mut count = 0;
        for (bound, up_to) in histogram.cumulative() {
            count = up_to;
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            writeln!(f, "{name}_bucket{} {up_to}", Labels(labels, Some(&bound)))?;
        }
        let labels = Labels(labels, None);
        writeln!(f, "{name}_sum{labels} {}\n{name}_count{labels} {count}", histogram.sum())
    }
}

impl Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Metric { name, kind, help, .. } = *self.metric;
        writeln!(f, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str())?;
        for (labels, series) in self.series.read().unwrap_or_else(PoisonError::into_inner).iter() {
            match series {
                Series::Number(number) => self.write_number(f, labels, number.load(Ordering::Relaxed))?,
                Series::Histogram(histogram) => self.write_histogram(f, labels, histogram)?,
            }
        }
        Ok(())
    }
}

/// `{method="GET",le="1"}`, or nothing. Values may hold anything.
struct Labels<'a>(&'a [Label], Option<&'a str>);

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.0.iter().map(|label| (label.key(), label.value()));
        let mut separator = '{';
        for (name, value) in own.chain(self.1.map(|bound| ("le", bound))) {
            let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
            write!(f, "{separator}{name}=\"{value}\"")?;
            separator = ',';
        }
        if separator == ',' { f.write_str("}") } else { Ok(()) }
    }
}

impl Recorder for Exposition {
    // What there is to describe is in the table.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.series(key) {
            Some((MetricKind::Counter | MetricKind::Dollars, Series::Number(number))) => Counter::from_arc(number),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.series(key) {
            Some((MetricKind::Gauge, Series::Number(number))) => Gauge::from_arc(number),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        match self.series(key) {
            Some((_, Series::Histogram(histogram))) => metrics::Histogram::from_arc(histogram),
            _ => metrics::Histogram::noop(),
        }
    }
}

/// The metrics as a table in Markdown, for `docs/API.md`.
pub fn table() -> String {
    let rows = METRICS.iter().map(|metric| {
        let labels = if metric.labels.is_empty() { String::new() } else { format!("{{{}}}", metric.labels.join(",")) };
        format!("| `{}{labels}` | {} | {} |\n", metric.name, metric.kind.as_str(), metric.help)
    });
    format!("| metric | kind | |\n|---|---|---|\n{}", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use metrics::{counter, gauge, histogram, with_local_recorder};

    use super::*;

    /// The text of the metrics named so, after these deeds.
    fn text_of(name: &str, deeds: impl FnOnce()) -> String {
        let exposition = Exposition::new();
        with_local_recorder(&exposition, deeds);
        let of_it = |line: &&str| line.trim_start_matches("# HELP ").trim_start_matches("# TYPE ").starts_with(name);
        let lines: Vec<String> =
            exposition.to_string().lines().filter(of_it).map(|line| line.to_owned() + "\n").collect();
        lines.concat()
    }

    #[test]
    fn counts_begin_at_nothing_and_add_up() {
        let help =
            "# HELP tinygen_jobs_created_total Jobs that were accepted.\n# TYPE tinygen_jobs_created_total counter\n";
        assert_eq!(text_of("tinygen_jobs_created", || ()), format!("{help}tinygen_jobs_created_total 0\n"));
        let twice = || (0..2).for_each(|_| counter!("tinygen_jobs_created_total").increment(1));
        assert_eq!(text_of("tinygen_jobs_created", twice), format!("{help}tinygen_jobs_created_total 2\n"));
    }

    #[test]
    fn series_are_told_apart_by_labels_that_may_hold_anything() {
        let text = text_of("tinygen_llm_tokens_total{", || {
            for (model, count) in [("b", 2), ("a \"\\\n", 1), ("b", 3)] {
                counter!("tinygen_llm_tokens_total", "model" => model, "kind" => "input").increment(count);
            }
        });
        let expected = "tinygen_llm_tokens_total{model=\"a \\\"\\\\\\n\",kind=\"input\"} 1\n\
                        tinygen_llm_tokens_total{model=\"b\",kind=\"input\"} 5\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn money_is_counted_exactly_and_shown_in_dollars() {
        let text = text_of("tinygen_llm_cost_usd_total{", || {
            (0..3).for_each(|_| counter!("tinygen_llm_cost_usd_total", "model" => "m").increment(100_000_000));
        });
        assert_eq!(text, "tinygen_llm_cost_usd_total{model=\"m\"} 0.3\n");
    }

    #[test]
    fn a_gauge_that_nobody_knows_is_not_shown() {
        let shown = |deeds: &dyn Fn()| text_of("tinygen_sse_clients ", deeds).lines().last().map(str::to_owned);
        let set = |value: f64| gauge!("tinygen_sse_clients").set(value);
        assert!(shown(&|| ()).expect("help").starts_with("# TYPE"));
        assert_eq!(shown(&|| set(1.5)).as_deref(), Some("tinygen_sse_clients 1.5"));
        assert!(shown(&|| [1.5, f64::NAN].into_iter().for_each(set)).expect("help").starts_with("# TYPE"));
    }

    #[test]
    fn histograms_count_what_is_up_to_each_bound() {
        let text = text_of("tinygen_job_duration_seconds_", || {
            for seconds in [0.01, 0.02, 60.0, 1e9] {
                histogram!("tinygen_job_duration_seconds", "outcome" => "failed").record(seconds);
            }
        });
        let value = |name: &str| {
            let line =
                text.lines().find_map(|line| line.strip_prefix(&format!("tinygen_job_duration_seconds_{name} ")));
            line.unwrap_or_else(|| panic!("{name} in {text}")).to_owned()
        };
        let up_to = |bound: &str| value(&format!("bucket{{outcome=\"failed\",le=\"{bound}\"}}"));
        assert_eq!(["0.01", "0.05", "30", "60", "14400", "+Inf"].map(up_to), ["1", "2", "2", "3", "3", "4"]);
        assert_eq!(
            (value("count{outcome=\"failed\"}"), value("sum{outcome=\"failed\"}")),
            ("4".into(), "1000000060.03".into())
        );
    }

    #[test]
    fn names_keep_the_rules_and_are_used_once() {
        for (index, metric) in METRICS.iter().enumerate() {
            let name = metric.name;
            assert!(METRICS[..index].iter().all(|other| other.name != name), "{name} is there twice");
            assert!(
                name.starts_with("tinygen_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), metric.kind.as_str() == "counter", "{name}");
            assert!(metric.help.ends_with('.') && !metric.help.contains(['\n', '\\', '|']), "{name}");
            if let MetricKind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted() && name.ends_with("_seconds"), "{name}");
            }
        }
    }
}
