//! Every metric there is.

/// A metric: its name, what is counted, and by what it is told apart.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name, as crates record it.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: MetricKind,
    /// The names of its labels. No label names an owner, a key, a repository or a job: there would be no end of series.
    pub labels: &'static [&'static str],
    /// What it tells, in a sentence.
    pub help: &'static str,
}

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    /// It only grows, from the start of the process on.
    Counter,
    /// The same for money: recorded in whole nano-dollars, so that nothing is lost in a sum, and shown in dollars.
    Dollars,
    /// It goes up and down. As long as it is not a number it is not shown: nobody knows it.
    Gauge,
    /// How often there were values up to each of these bounds.
    Histogram(&'static [f64]),
}

impl MetricKind {
    /// The name in the text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter | Self::Dollars => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// Seconds of what a client waits for: from a look into the database to a long poll.
const OF_REQUESTS: MetricKind =
    MetricKind::Histogram(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]);
/// Seconds of what the model, a Git host or a queue takes: from at once to hours.
const OF_WORK: MetricKind = MetricKind::Histogram(&[
    0.01, 0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 14_400.0,
]);

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, help }
}

const fn histogram(
    name: &'static str,
    kind: MetricKind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, help }
}

/// Every metric there is. What is recorded under another name is not kept.
pub const METRICS: &[Metric] = &[
    counter("tinygen_http_requests_total", &["method", "route", "status"], "Requests that were answered."),
    histogram(
        "tinygen_http_request_duration_seconds",
        OF_REQUESTS,
        &["method", "route"],
        "Time to the head of an answer; streams go on after it.",
    ),
    gauge("tinygen_sse_clients", &[], "Streams of events that are open."),
    counter("tinygen_jobs_created_total", &[], "Jobs that were accepted."),
    counter(
        "tinygen_jobs_finished_total",
        &["outcome", "code"],
        "Jobs that ended: `succeeded` as `changed` or `no_change_needed`, `failed` with the code of the failure, or \
         `canceled`.",
    ),
    histogram(
        "tinygen_job_duration_seconds",
        OF_WORK,
        &["outcome"],
        "Time from the request for a job, or for its retry, to its end.",
    ),
    histogram(
        "tinygen_queue_wait_seconds",
        OF_WORK,
        &[],
        "Time from the request for a job, or for its retry, to its first start.",
    ),
    gauge(
        "tinygen_queue_jobs",
        &["state", "priority"],
        "Jobs that are `ready`, `delayed` until their next attempt, `running`, or `dead`: given up as poisoned.",
    ),
    gauge("tinygen_queue_oldest_ready_seconds", &[], "How long the longest waiting job could have been started."),
    gauge("tinygen_queue_workers", &[], "Workers that live."),
    gauge("tinygen_queue_slots", &[], "Jobs that the living workers work on at the same time."),
    gauge("tinygen_queue_desired_workers", &[], "Workers that would work on all that is ready or runs at once."),
    counter("tinygen_job_rescues_total", &[], "Jobs that were taken over from a lost worker."),
    counter("tinygen_fenced_writes_total", &[], "Writes that were refused because another worker has the job."),
    gauge(
        "tinygen_lease_seconds_remaining",
        &[],
        "Time left of the lease that runs out first, of those that this worker holds.",
    ),
    histogram(
        "tinygen_stage_duration_seconds",
        OF_WORK,
        &["stage", "outcome"],
        "Time that work on a stage took, until it `succeeded` or `failed`.",
    ),
    counter("tinygen_stage_resumes_total", &["stage"], "Stages whose output an earlier attempt had stored."),
    counter(
        "tinygen_llm_requests_total",
        &["model", "outcome"],
        "Calls to the model: `answered`, or the code of the failure.",
    ),
    histogram("tinygen_llm_request_duration_seconds", OF_WORK, &["model", "outcome"], "Time that calls took."),
    counter(
        "tinygen_llm_tokens_total",
        &["model", "kind"],
        "Tokens that were billed: `input`, `cache_creation`, `cache_read`, `output`.",
    ),
    Metric {
        name: "tinygen_llm_cost_usd_total",
        kind: MetricKind::Dollars,
        labels: &["model"],
        help: "What calls cost at list prices, in US dollars, as far as it was reported.",
    },
    histogram(
        "tinygen_llm_throttle_seconds",
        OF_WORK,
        &["model"],
        "Waits before a call is made again because the model service limits our rate.",
    ),
    counter(
        "tinygen_webhook_attempts_total",
        &["outcome"],
        "Attempts to deliver a message: `delivered`, `retry`, `failed` (given up), `gone` (410).",
    ),
    gauge("tinygen_webhook_pending", &[], "Messages that wait to be delivered, counted up to 100,000."),
    gauge("tinygen_webhook_endpoints_open", &[], "Receivers that are only probed because they failed too often."),
    gauge("tinygen_worker_slots", &["state"], "Slots of this worker that are `busy` or `free`."),
    gauge("tinygen_worker_last_claim_timestamp_seconds", &[], "When this worker last looked for a job, in Unix time."),
];
