//! What is counted of a worker.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jobs::DeliveryEnd;
use metrics::{counter, gauge};

/// A slot that is taken; it is free again when this is dropped, also by a panic.
pub(crate) struct BusySlot(());

/// No slot is taken yet.
pub(crate) fn worker_begins(slots: usize) {
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^53 slots")]
    slot("free").set(slots as f64);
    slot("busy").set(0.0);
}

impl BusySlot {
    pub(crate) fn take() -> Self {
        slot("free").decrement(1.0);
        slot("busy").increment(1.0);
        Self(())
    }
}

impl Drop for BusySlot {
    fn drop(&mut self) {
        slot("busy").decrement(1.0);
        slot("free").increment(1.0);
    }
}

fn slot(state: &'static str) -> metrics::Gauge {
    gauge!("tinygen_worker_slots", "state" => state)
}

/// The database has said whether there is a job.
pub(crate) fn looked_for_a_job() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!("tinygen_worker_last_claim_timestamp_seconds").set(now.as_secs_f64());
}

/// What is left of the lease that runs out first; none while no job is held.
pub(crate) fn leases_left(left: Option<Duration>) {
    gauge!("tinygen_lease_seconds_remaining").set(left.map_or(f64::NAN, |left| left.as_secs_f64()));
}

/// A message was sent, or could not be.
pub(crate) fn delivery_tried(end: DeliveryEnd) {
    let outcome = match end {
        DeliveryEnd::Delivered => "delivered",
        DeliveryEnd::Retry { .. } => "retry",
        DeliveryEnd::Failed => "failed",
        DeliveryEnd::Gone => "gone",
    };
    counter!("tinygen_webhook_attempts_total", "outcome" => outcome).increment(1);
}
