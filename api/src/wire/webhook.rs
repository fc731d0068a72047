//! Webhooks and their deliveries as the API shows them.

use jobs::{Delivery, DeliveryAttempt, Rotated, Webhook, WebhookSecret};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Timestamp;
use crate::openapi::{DeliveryStatusName, DisabledReasonName, MessageName, WebhookEventName, WebhookPayload};

/// A webhook. Its secret is never part of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookBody {
    /// The webhook's id: a UUID v7.
    #[schema(format = Uuid)]
    pub id: String,
    /// Where messages go.
    pub url: String,
    /// Its owner's words for it.
    pub description: String,
    /// The events it is told of.
    #[schema(value_type = Vec<WebhookEventName>)]
    pub events: Vec<&'static str>,
    /// Whether messages are sent; else they wait.
    pub enabled: bool,
    /// Since when they wait.
    #[schema(required)]
    pub disabled_at: Option<Timestamp>,
    /// Why, when tinygen disabled it.
    #[schema(value_type = Option<DisabledReasonName>, required)]
    pub disabled_reason: Option<&'static str>,
    /// Since when every attempt has failed.
    #[schema(required)]
    pub failing_since: Option<Timestamp>,
    /// Attempts that failed since the last success.
    pub consecutive_failures: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Where to go from here.
    pub links: WebhookLinks,
}

/// The addresses of a webhook, as paths on this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WebhookLinks {
    /// The webhook.
    #[serde(rename = "self")]
    pub own: String,
    /// What was sent to it.
    pub deliveries: String,
}

/// A webhook that was just made: the one time that its secret is shown.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct NewWebhookBody {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: WebhookBody,
    /// What its messages are signed with.
    pub secret: String,
}

/// A signing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretBody {
    /// What messages are signed with.
    pub secret: String,
    /// Until when they are signed with the one before, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub previous_expires_at: Option<Timestamp>,
}

/// One message to one receiver, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryBody {
    /// The delivery's id: a UUID v7.
    #[schema(format = Uuid)]
    pub id: String,
    /// The webhook; absent when the job brought it along.
    #[schema(required)]
    pub webhook_id: Option<String>,
    /// The job that the message tells of; absent in a test.
    #[schema(required)]
    pub job_id: Option<String>,
    /// The message's `webhook-id`: the same however often it is sent.
    pub message_id: String,
    /// What it tells of.
    #[serde(rename = "type")]
    #[schema(value_type = MessageName)]
    pub kind: String,
    /// Where it stands.
    #[schema(value_type = DeliveryStatusName)]
    pub status: &'static str,
    /// Attempts so far.
    pub attempt: u32,
    /// When the next one may be made.
    #[schema(required)]
    pub next_attempt_at: Option<Timestamp>,
    /// When the message was written.
    pub created_at: Timestamp,
    /// When it was delivered or given up.
    #[schema(required)]
    pub finished_at: Option<Timestamp>,
}

/// A delivery with what was sent and what was heard.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DeliveryDetailBody {
    /// The delivery.
    #[serde(flatten)]
    pub delivery: DeliveryBody,
    /// What is sent.
    #[schema(value_type = WebhookPayload)]
    pub payload: Value,
    /// What came of each attempt, in order.
    pub attempts: Vec<AttemptBody>,
}

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptBody {
    /// Its number, from 1.
    pub attempt: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The HTTP status; absent when there was no answer.
    #[schema(required)]
    pub status: Option<u16>,
    /// Why it counts as a failure.
    #[schema(required)]
    pub error: Option<String>,
    /// The first 4 KiB of the answer's body.
    #[schema(required)]
    pub response: Option<String>,
}

impl WebhookBody {
    /// A webhook.
    pub fn new(webhook: &Webhook) -> Self {
        let own = format!("/webhooks/{}", webhook.id);
        Self {
            id: webhook.id.to_string(),
            url: webhook.url.as_str().to_owned(),
            description: webhook.description.clone(),
            events: webhook.events.iter().map(|kind| kind.as_str()).collect(),
            enabled: webhook.disabled_at.is_none(),
            disabled_at: webhook.disabled_at.map(Timestamp),
            disabled_reason: webhook.disabled_reason.map(jobs::DisabledReason::as_str),
            failing_since: webhook.failing_since.map(Timestamp),
            consecutive_failures: webhook.consecutive_failures,
            created_at: webhook.created_at.into(),
            updated_at: webhook.updated_at.into(),
            links: WebhookLinks { deliveries: format!("{own}/deliveries"), own },
        }
    }
}

impl SecretBody {
    /// A secret that stays.
    pub fn new(secret: &WebhookSecret) -> Self {
        Self { secret: secret.expose().to_owned(), previous_expires_at: None }
    }

    /// A secret that took the place of another one.
    pub fn from_rotation(rotated: &Rotated) -> Self {
        Self { previous_expires_at: Some(rotated.previous_expires_at.into()), ..Self::new(&rotated.secret) }
    }
}

impl DeliveryBody {
    /// A delivery.
    pub fn new(delivery: &Delivery) -> Self {
        Self {
            id: delivery.id.to_string(),
            webhook_id: delivery.webhook_id.map(|id| id.to_string()),
            job_id: delivery.job_id.map(|id| id.to_string()),
            message_id: delivery.message_id.clone(),
            kind: delivery.kind.clone(),
            status: delivery.status.as_str(),
            attempt: delivery.attempts,
            next_attempt_at: delivery.next_attempt_at.map(Timestamp),
            created_at: delivery.created_at.into(),
            finished_at: delivery.finished_at.map(Timestamp),
        }
    }
}

impl From<&DeliveryAttempt> for AttemptBody {
    fn from(attempt: &DeliveryAttempt) -> Self {
        let exchange = &attempt.exchange;
        Self {
            attempt: attempt.number,
            started_at: attempt.started_at.into(),
            duration_ms: u64::try_from(exchange.duration.as_millis()).unwrap_or(u64::MAX),
            status: exchange.status,
            error: exchange.error.clone(),
            response: exchange.response.clone(),
        }
    }
}
