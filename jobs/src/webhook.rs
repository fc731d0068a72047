//! Webhooks: who is told of which events, what was told, and what came of it.
//!
//! The transaction that writes an event also writes a [`Delivery`] of it to every receiver, so neither is ever without
//! the other. Workers claim deliveries as they claim jobs: under a lease of their own, fenced by its epoch. A receiver
//! gets the messages about one job in the order of the job's events, each at least once.

mod delivery;
mod facade;
mod id;
pub(crate) mod message;
mod policy;
mod secret;

use chrono::{DateTime, Utc};
use domain::WebhookUrl;

use crate::event::EventKind;

pub use delivery::{
    ClaimedDelivery, Delivery, DeliveryAttempt, DeliveryEnd, DeliveryFilter, DeliveryLease, DeliveryStatus, Exchange,
    Pace, Redelivery, TEST_EVENT, UnknownDeliveryStatus,
};
pub use id::{DeliveryId, WebhookId};
pub use policy::WebhookPolicy;
pub use secret::{Rotated, WebhookSecret};

/// The events that a webhook can be told of.
pub const WEBHOOK_EVENTS: [EventKind; 5] = [
    EventKind::JobStarted,
    EventKind::StageSucceeded,
    EventKind::JobSucceeded,
    EventKind::JobFailed,
    EventKind::JobCanceled,
];

/// The events that a webhook is told of when it does not say: the ends of jobs.
pub const DEFAULT_WEBHOOK_EVENTS: [EventKind; 3] =
    [EventKind::JobSucceeded, EventKind::JobFailed, EventKind::JobCanceled];

/// Webhooks that one owner may have: every event of a job is matched with all of them.
pub const MAX_WEBHOOKS: usize = 50;

/// A receiver that its owner registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name.
    pub id: WebhookId,
    /// Where messages go.
    pub url: WebhookUrl,
    /// Its owner's words for it.
    pub description: String,
    /// What it is told of.
    pub events: Vec<EventKind>,
    /// Since when nothing is sent and everything waits; absent: it is enabled.
    pub disabled_at: Option<DateTime<Utc>>,
    /// Why, when it was not its owner who disabled it.
    pub disabled_reason: Option<DisabledReason>,
    /// Since when every attempt has failed.
    pub failing_since: Option<DateTime<Utc>>,
    /// Attempts that failed since the last success.
    pub consecutive_failures: u32,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When its owner last changed it.
    pub updated_at: DateTime<Utc>,
}

/// Why a webhook was disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisabledReason {
    /// The receiver answered 410 Gone.
    Gone,
    /// Every attempt failed for longer than the [`WebhookPolicy`] allows.
    Failing,
}

impl DisabledReason {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::Gone, Self::Failing];

    /// The name used in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// What is needed to register a webhook.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Whose; its messages tell of this owner's jobs.
    pub owner: Option<String>,
    /// Where messages go.
    pub url: WebhookUrl,
    /// Its owner's words for it.
    pub description: String,
    /// What it is told of: some of [`WEBHOOK_EVENTS`].
    pub events: Vec<EventKind>,
    /// Whether messages are sent at once; else they wait.
    pub is_enabled: bool,
}

/// What is to be changed about a webhook; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct WebhookChange {
    /// Where messages go from now on, those that wait included.
    pub url: Option<WebhookUrl>,
    /// Its owner's words for it.
    pub description: Option<String>,
    /// What it is told of from now on.
    pub events: Option<Vec<EventKind>>,
    /// Whether messages are sent. Enabling forgets earlier failures.
    pub is_enabled: Option<bool>,
}

/// A webhook that a job brings along: told of this job alone, and signed with its owner's default secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobWebhook {
    /// Where messages go.
    pub url: WebhookUrl,
    /// What it is told of: some of [`WEBHOOK_EVENTS`].
    pub events: Vec<EventKind>,
}
