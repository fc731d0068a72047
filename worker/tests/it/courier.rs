//! A worker that delivers webhooks, and what it is told to deliver.

use std::time::Duration;

use domain::{JobId, WebhookUrl};
use egress::{Egress, EgressPolicy};
use http::HeaderMap;
use jobs::{
    Delivery, DeliveryFilter, DeliveryStatus, EventKind, Jobs, NewWebhook, Webhook, WebhookPolicy, WebhookSecret,
};
use standin::webhook_receiver::Received;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use worker::WebhookConfig;

use crate::fixture::{Database, spec};

/// Longest that anything a test waits for may take: only a broken test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

pub(crate) const ALL: DeliveryFilter = DeliveryFilter { status: None, before: None, limit: 100_000 };

/// A worker that delivers, with waits of milliseconds.
pub(crate) struct Courier {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Courier {
    pub(crate) fn start(jobs: &Jobs, config: WebhookConfig) -> Self {
        let policy = EgressPolicy {
            allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            allow_plain_http: true,
            ..EgressPolicy::default()
        };
        Self::start_behind(jobs, config, policy)
    }

    pub(crate) fn start_behind(jobs: &Jobs, config: WebhookConfig, policy: EgressPolicy) -> Self {
        let shutdown = CancellationToken::new();
        let egress = Egress::new(policy).unwrap();
        let task = tokio::spawn(worker::deliver_webhooks(jobs.clone(), egress, config, shutdown.clone()));
        Self { shutdown, task }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
    }
}

pub(crate) fn quick() -> WebhookConfig {
    WebhookConfig {
        waits: vec![Duration::from_millis(5); 9],
        overload_wait: Duration::from_millis(10),
        deadline: Duration::from_millis(500),
        idle: Duration::from_millis(5),
        ..WebhookConfig::default()
    }
}

pub(crate) fn forgiving() -> WebhookPolicy {
    WebhookPolicy {
        probe_interval: Duration::from_millis(5),
        slow_after: Duration::from_millis(200),
        ..Default::default()
    }
}

pub(crate) async fn database() -> Database {
    let mut database = Database::new().await;
    database.jobs = database.jobs.with_webhook_policy(forgiving());
    database
}

pub(crate) async fn register(jobs: &Jobs, url: &str, events: &[EventKind]) -> (Webhook, WebhookSecret) {
    let webhook = NewWebhook {
        owner: None,
        url: WebhookUrl::parse(url).unwrap(),
        description: String::new(),
        events: events.to_vec(),
        is_enabled: true,
    };
    jobs.create_webhook(webhook).await.unwrap().unwrap()
}

pub(crate) async fn test_message(jobs: &Jobs, webhook: &Webhook) -> Delivery {
    jobs.test_webhook(None, webhook.id).await.unwrap().unwrap()
}

/// A job that ends before a worker has it.
pub(crate) async fn canceled_job(jobs: &Jobs) -> JobId {
    let id = jobs.submit(spec()).await.unwrap().id;
    jobs.cancel(id).await.unwrap();
    id
}

pub(crate) async fn until_over(jobs: &Jobs, webhook: &Webhook) -> Vec<Delivery> {
    let over = async {
        loop {
            let deliveries = jobs.webhook_deliveries(webhook.id, &ALL).await.unwrap();
            if deliveries.iter().all(|delivery| delivery.status != DeliveryStatus::Pending) {
                return deliveries;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, over).await.expect("they are over")
}

/// Verifies as a receiver does that uses the reference library.
pub(crate) fn verify(message: &Received, secret: &WebhookSecret) -> bool {
    let mut headers = HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, message.header(name).parse().unwrap());
    }
    standardwebhooks::Webhook::new(secret.expose()).unwrap().verify(&message.body, &headers).is_ok()
}
