//! What is counted of requests, and what a scrape shows of the queue.

use std::time::Duration;

use axum::http::StatusCode;
use domain::Priority;
use jobs::QueueState;
use metrics::{counter, gauge, histogram};

use crate::figures::Figures;

/// The route of what has none: what clients make up has no end.
const NO_ROUTE: &str = "none";

/// A request was answered. The method is one that HTTP knows, or a name for all others.
pub(crate) fn request_answered(method: String, route: Option<&str>, status: StatusCode, duration: Duration) {
    let route = route.unwrap_or(NO_ROUTE).to_owned();
    let labels = [("method", method.clone()), ("route", route.clone()), ("status", status.as_str().to_owned())];
    counter!("tinygen_http_requests_total", &labels).increment(1);
    histogram!("tinygen_http_request_duration_seconds", "method" => method, "route" => route).record(duration);
}

/// What a scrape finds: the streams of events that are open here, and the queue. Without figures nothing is shown of the
/// queue, which is better than what was true some time ago.
pub(crate) fn scraped(streams: usize, figures: Option<&Figures>) {
    gauge!("tinygen_sse_clients").set(float(streams as u64));
    let show = |name: &'static str, figure: fn(&Figures) -> u64| gauge!(name).set(known(figures, figure));
    show("tinygen_queue_oldest_ready_seconds", |figures| figures.queue.oldest_ready.as_secs());
    show("tinygen_queue_workers", |figures| figures.queue.workers);
    show("tinygen_queue_slots", |figures| figures.queue.slots);
    show("tinygen_queue_desired_workers", |figures| figures.queue.desired_workers());
    show("tinygen_webhook_pending", |figures| figures.webhooks.pending);
    show("tinygen_webhook_endpoints_open", |figures| figures.webhooks.open_endpoints);
    for state in QueueState::ALL {
        for priority in Priority::ALL {
            let jobs = known(figures, |figures| figures.queue.count_of(state, priority));
            gauge!("tinygen_queue_jobs", "state" => state.as_str(), "priority" => priority.as_str()).set(jobs);
        }
    }
}

/// No number when there are no figures.
fn known(figures: Option<&Figures>, figure: impl Fn(&Figures) -> u64) -> f64 {
    figures.map_or(f64::NAN, |figures| float(figure(figures)))
}

#[expect(clippy::cast_precision_loss, reason = "there are not 2^53 of anything")]
fn float(count: u64) -> f64 {
    count as f64
}
