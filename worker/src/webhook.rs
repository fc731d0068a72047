//! Delivers webhooks: takes messages that are due, signs them, sends them, and writes down what came of it.
//!
//! The store decides what may be sent, so any number of processes can do this at once. A courier looks when it is told that
//! there may be something, when a message that it sent is due again, and now and then. Receivers are strangers: one that
//! is slow holds a place for at most one deadline, and the slow ones together never hold all places.

mod config;
mod schedule;
mod send;
mod signature;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::time::Duration;

use egress::Egress;
use jobs::{ClaimedDelivery, DeliveryEnd, Jobs, Pace, StoreError};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::patience::patiently;
use crate::tally;

pub use config::WebhookConfig;

/// Between two claims while the database is away.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
/// The longest wait before a next try whose end is remembered; what waits longer may as well be found now and then.
const REMEMBERED: Duration = Duration::from_mins(1);

/// Delivers until `shutdown`; then what is on its way is handed back at once, and the function returns. A database that is
/// away for a while is no reason to stop.
pub async fn deliver_webhooks(jobs: Jobs, egress: Egress, config: WebhookConfig, shutdown: CancellationToken) {
    let courier = Courier {
        jobs: jobs.clone(),
        egress,
        config,
        shutdown,
        sends: JoinSet::new(),
        slow_sends: 0,
        due: BinaryHeap::new(),
        swept_at: None,
    };
    tokio::select! {
        () = courier.run() => {}
        never = jobs.hear_of_deliveries() => match never {},
    }
}

/// What is on its way, and what is needed to send more.
struct Courier {
    jobs: Jobs,
    egress: Egress,
    config: WebhookConfig,
    shutdown: CancellationToken,
    sends: JoinSet<Sent>,
    slow_sends: usize,
    /// When messages that were sent in vain are due again, the earliest first.
    due: BinaryHeap<Reverse<Instant>>,
    swept_at: Option<Instant>,
}

/// A send that is over.
struct Sent {
    /// Of its receiver, at the time of the claim.
    pace: Pace,
    /// When the message is due again, if it is soon.
    due_at: Option<Instant>,
}

impl Courier {
    async fn run(mut self) {
        while !self.shutdown.is_cancelled() {
            self.sweep_now_and_then().await;
            self.forget_what_is_due();
            let has_more = self.fill_places().await;
            self.wait(has_more).await;
        }
        while let Some(sent) = self.sends.join_next().await {
            self.note_end(sent);
        }
    }

    /// What is due by now is found by the next look.
    fn forget_what_is_due(&mut self) {
        let now = Instant::now();
        while self.due.peek().is_some_and(|Reverse(at)| *at <= now) {
            self.due.pop();
        }
    }

    /// Takes messages while there are places. Gives whether there may be more at once.
    async fn fill_places(&mut self) -> bool {
        let quick = self.claim(Pace::Quick, self.config.concurrency.saturating_sub(self.sends.len())).await;
        let slow_places = self.config.concurrency.saturating_sub(self.config.kept_for_quick + self.slow_sends);
        let free_places = self.config.concurrency.saturating_sub(self.sends.len());
        let slow = self.claim(Pace::Slow, slow_places.min(free_places)).await;
        quick + slow > 0
    }

    /// Takes at most `places` messages and sends them. Gives how many there were.
    async fn claim(&mut self, pace: Pace, places: usize) -> usize {
        if places == 0 {
            return 0;
        }
        let claimed = match self.jobs.claim_deliveries(&self.config.id, pace, places).await {
            Ok(claimed) => claimed,
            Err(error) => {
                warn!(error = &error as &dyn Error, "Cannot claim webhook deliveries; trying again");
                self.shutdown.run_until_cancelled(sleep(PAUSE_AFTER_ERROR)).await;
                return 0;
            }
        };
        let count = claimed.len();
        for delivery in claimed {
            self.slow_sends += usize::from(pace == Pace::Slow);
            let sender = Sender {
                jobs: self.jobs.clone(),
                egress: self.egress.clone(),
                config: self.config.clone(),
                shutdown: self.shutdown.clone(),
            };
            self.sends.spawn(async move {
                let due_at = sender.send(&delivery).await;
                Sent { pace, due_at }
            });
        }
        count
    }

    /// Waits until there may be something to claim and a place for it.
    async fn wait(&mut self, has_more: bool) {
        let has_place = self.sends.len() < self.config.concurrency;
        if has_more && has_place {
            return;
        }
        let until_due = self.due.peek().map(|Reverse(at)| at.saturating_duration_since(Instant::now()));
        let idle = until_due.unwrap_or(Duration::MAX).min(self.config.idle);
        let ended = tokio::select! {
            Some(sent) = self.sends.join_next() => Some(sent),
            () = self.jobs.wait_for_deliveries(idle) => None,
            () = self.shutdown.cancelled() => None,
        };
        if let Some(sent) = ended {
            self.note_end(sent);
            // Those that ended at the same time are one reason to look, not many.
            while let Some(sent) = self.sends.try_join_next() {
                self.note_end(sent);
            }
        }
    }

    fn note_end(&mut self, sent: Result<Sent, tokio::task::JoinError>) {
        match sent {
            Ok(Sent { pace, due_at }) => {
                self.slow_sends -= usize::from(pace == Pace::Slow);
                self.due.extend(due_at.map(Reverse));
            }
            // Its lease runs out, and the message is sent again.
            Err(panic) => {
                error!(error = &panic as &dyn Error, "A webhook delivery panicked");
                self.slow_sends = self.slow_sends.min(self.sends.len());
            }
        }
    }

    async fn sweep_now_and_then(&mut self) {
        if self.swept_at.is_some_and(|at| at.elapsed() < self.config.sweep) {
            return;
        }
        self.swept_at = Some(Instant::now());
        if let Err(error) = self.jobs.sweep_deliveries().await {
            warn!(error = &error as &dyn Error, "Cannot sweep webhook deliveries; trying again");
        }
    }
}

/// What one send needs.
struct Sender {
    jobs: Jobs,
    egress: Egress,
    config: WebhookConfig,
    shutdown: CancellationToken,
}

impl Sender {
    /// Sends a message and writes what came of it; at a shutdown hands it back. Gives when it is due again, if it is soon.
    async fn send(&self, delivery: &ClaimedDelivery) -> Option<Instant> {
        let exchange = send::exchange(&self.egress, delivery, self.config.deadline);
        let Some(heard) = self.shutdown.run_until_cancelled(exchange).await else {
            tell_if_failed(delivery, self.jobs.release_delivery(&delivery.lease).await);
            return None;
        };
        let end = schedule::judge(&self.config, delivery, &heard);
        tally::delivery_tried(end);
        let write = patiently(|| self.jobs.finish_delivery(&delivery.lease, delivery.claimed_at, &heard.exchange, end));
        // After a lease the message is another worker's.
        let written = timeout(self.jobs.webhook_policy().lease, write).await.unwrap_or(Err(StoreError::LeaseLost));
        tell_if_failed(delivery, written);
        match end {
            // The database's count began before ours: it is due by then.
            DeliveryEnd::Retry { delay, .. } if delay <= REMEMBERED => Some(Instant::now() + delay),
            _ => None,
        }
    }
}

fn tell_if_failed(delivery: &ClaimedDelivery, written: Result<(), StoreError>) {
    let id = delivery.lease.delivery_id();
    match written {
        Ok(()) => {}
        Err(StoreError::LeaseLost) => warn!(webhook.delivery = %id, "Another worker has the delivery"),
        Err(error) => error!(webhook.delivery = %id, error = &error as &dyn Error, "Cannot write how a delivery ended"),
    }
}
