//! Webhooks, and what becomes of their messages.

use std::time::Duration;

use domain::{JobId, WebhookUrl};
use jobs::{
    ClaimedDelivery, Delivery, DeliveryEnd, DeliveryFilter, EventKind, Exchange, Jobs, NewJob, NewWebhook, Pace,
    StoreError, Webhook, WebhookSecret,
};
use serde_json::Value;

use crate::sample::{spec, worker};

pub(crate) const ALL: DeliveryFilter = DeliveryFilter { status: None, before: None, limit: 100 };

pub(crate) fn url(path: &str) -> WebhookUrl {
    WebhookUrl::parse(&format!("https://hooks.example.org/{path}")).unwrap()
}

pub(crate) fn webhook(owner: Option<&str>, events: &[EventKind]) -> NewWebhook {
    NewWebhook {
        owner: owner.map(str::to_owned),
        url: url("in"),
        description: "for the tests".to_owned(),
        events: events.to_vec(),
        is_enabled: true,
    }
}

pub(crate) async fn register(jobs: &Jobs, events: &[EventKind]) -> (Webhook, WebhookSecret) {
    jobs.create_webhook(webhook(None, events)).await.unwrap().unwrap()
}

pub(crate) async fn submit_of(jobs: &Jobs, owner: &str) -> JobId {
    jobs.submit(NewJob { owner: Some(owner.to_owned()), ..NewJob::from(spec()) }).await.unwrap().id
}

pub(crate) async fn deliveries(jobs: &Jobs, webhook: &Webhook) -> Vec<Delivery> {
    let mut deliveries = jobs.webhook_deliveries(webhook.id, &ALL).await.unwrap();
    deliveries.reverse();
    deliveries
}

pub(crate) async fn body(jobs: &Jobs, delivery: &Delivery) -> Value {
    serde_json::from_str(&jobs.delivery(None, delivery.id).await.unwrap().unwrap().1).unwrap()
}

/// Claims as a worker with many places does: until there is nothing more.
pub(crate) async fn claim_all(jobs: &Jobs) -> Vec<ClaimedDelivery> {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        for pace in [Pace::Quick, Pace::Slow] {
            all.extend(jobs.claim_deliveries(&worker(), pace, 64).await.unwrap());
        }
        if all.len() == before {
            return all;
        }
    }
}

pub(crate) async fn claim_one(jobs: &Jobs) -> ClaimedDelivery {
    let mut claimed = claim_all(jobs).await;
    assert_eq!(claimed.len(), 1);
    claimed.remove(0)
}

pub(crate) fn exchange(status: u16) -> Exchange {
    Exchange { duration: Duration::from_millis(20), status: Some(status), error: None, response: Some("so".to_owned()) }
}

pub(crate) async fn finish(jobs: &Jobs, delivery: &ClaimedDelivery, end: DeliveryEnd) -> Result<(), StoreError> {
    let status = if end == DeliveryEnd::Delivered { 204 } else { 500 };
    jobs.finish_delivery(&delivery.lease, delivery.claimed_at, &exchange(status), end).await
}

pub(crate) const RETRY_NOW: DeliveryEnd = DeliveryEnd::Retry { delay: Duration::ZERO, receiver_pause: None };
pub(crate) const RETRY_LATER: DeliveryEnd = DeliveryEnd::Retry { delay: Duration::from_hours(1), receiver_pause: None };
