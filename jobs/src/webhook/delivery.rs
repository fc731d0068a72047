//! One message to one receiver, and what came of sending it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{JobId, WebhookUrl};

use super::{DeliveryId, WebhookId, WebhookSecret};

/// The kind of message that only proves that a receiver can be reached. No job's event is called so.
pub const TEST_EVENT: &str = "webhook.test";

/// One message to one receiver, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its name.
    pub id: DeliveryId,
    /// The receiver; absent when the job brought it along.
    pub webhook_id: Option<WebhookId>,
    /// The job that the message tells of; absent in a test.
    pub job_id: Option<JobId>,
    /// The message's `webhook-id`.
    pub message_id: String,
    /// The kind of event, or [`TEST_EVENT`].
    pub kind: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Attempts so far.
    pub attempts: u32,
    /// When the next attempt may be made; absent unless it waits.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was delivered or given up.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It waits for its first or next attempt, or is on its way.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It was given up.
    Failed,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// The name used in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for DeliveryStatus {
    type Err = UnknownDeliveryStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownDeliveryStatus(text.to_owned()))
    }
}

/// A name that is no [`DeliveryStatus`]'s.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a status of deliveries: use one of pending, delivered, failed")]
pub struct UnknownDeliveryStatus(String);

/// Which deliveries to list.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryFilter {
    /// Only these; all when absent.
    pub status: Option<DeliveryStatus>,
    /// Only those that are older than this one.
    pub before: Option<DeliveryId>,
    /// How many at most.
    pub limit: u32,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// Its place among the delivery's attempts, from 1.
    pub number: u32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// The exchange.
    pub exchange: Exchange,
}

/// What was heard from a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// How long it took.
    pub duration: Duration,
    /// The HTTP status; absent when there was no answer.
    pub status: Option<u16>,
    /// Why it counts as a failure. Names no address.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub response: Option<String>,
}

/// Which receivers a claim may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Those that answered quickly last time.
    Quick,
    /// The others: they failed or took long last time, or nothing is known yet.
    Slow,
}

/// The right to send one message. A later claim has a higher epoch and ends this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryLease {
    pub(crate) delivery_id: DeliveryId,
    pub(crate) webhook_id: WebhookId,
    pub(crate) epoch: i64,
}

impl DeliveryLease {
    /// The delivery.
    pub fn delivery_id(&self) -> DeliveryId {
        self.delivery_id
    }

    /// The receiver.
    pub fn webhook_id(&self) -> WebhookId {
        self.webhook_id
    }
}

/// A message that a worker may send now.
#[derive(Clone)]
pub struct ClaimedDelivery {
    /// Names the claim when the end is written.
    pub lease: DeliveryLease,
    /// The `webhook-id`.
    pub message_id: String,
    /// The kind of event, or [`TEST_EVENT`].
    pub kind: String,
    /// Where it goes.
    pub url: WebhookUrl,
    /// What is sent: JSON.
    pub body: String,
    /// Tries before this one, since it was written or asked for again.
    pub tries: u32,
    /// What it is signed with, the newest first.
    pub secrets: Vec<WebhookSecret>,
    /// The trace of the request that asked for the job, as W3C `traceparent`.
    pub trace_context: Option<String>,
    /// The database's time of the claim.
    pub claimed_at: DateTime<Utc>,
}

/// Shows neither the message nor its address.
impl fmt::Debug for ClaimedDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimedDelivery").field("lease", &self.lease).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// What an attempt means for its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// The receiver took the message.
    Delivered,
    /// It is tried again.
    Retry {
        /// After this time.
        delay: Duration,
        /// How long the receiver asked to be left alone: nothing probes it before.
        receiver_pause: Option<Duration>,
    },
    /// It is given up.
    Failed,
    /// It is given up, and the receiver wants no more: its webhook is disabled.
    Gone,
}

/// What became of a request to send messages again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivery {
    /// It is sent as soon as its turn comes.
    Queued,
    /// Its webhook is disabled.
    Disabled,
    /// There is no such delivery.
    NotFound,
}
