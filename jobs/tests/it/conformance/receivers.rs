//! A receiver that fails, is slow or is gone is not overrun, and delays nobody else.

use std::time::Duration;

use chrono::Utc;
use jobs::{
    DEFAULT_WEBHOOK_EVENTS, DeliveryEnd, DeliveryFilter, DeliveryStatus, DisabledReason, Exchange, Pace, Redelivery,
    WebhookChange, WebhookPolicy, WebhookStats,
};

use crate::database::{Database, on_every_database};
use crate::hooks::{ALL, RETRY_NOW, claim_all, claim_one, deliveries, exchange, finish, register};
use crate::sample::worker;

on_every_database![
    a_failing_receiver_gets_one_probe_at_a_time,
    slow_receivers_are_told_from_quick_ones,
    a_receiver_that_is_gone_or_fails_too_long_is_disabled_and_its_queue_kept,
];

async fn a_failing_receiver_gets_one_probe_at_a_time(database: &Database) {
    let policy = WebhookPolicy { probe_interval: Duration::ZERO, ..Default::default() };
    let jobs = &database.jobs.clone().with_webhook_policy(policy);
    let (webhook, _) = register(jobs, &DEFAULT_WEBHOOK_EVENTS).await;
    for _ in 0..8 {
        jobs.test_webhook(None, webhook.id).await.unwrap().unwrap();
    }
    let counted = async || jobs.webhook_stats().await.unwrap();
    assert_eq!(counted().await, WebhookStats { pending: 8, open_endpoints: 0 });
    for delivery in claim_all(jobs).await {
        finish(jobs, &delivery, DeliveryEnd::Failed).await.unwrap();
    }
    assert_eq!(jobs.webhook(None, webhook.id).await.unwrap().unwrap().consecutive_failures, 4);
    let fifth = jobs.claim_deliveries(&worker(), Pace::Slow, 1).await.unwrap().remove(0);
    finish(jobs, &fifth, RETRY_NOW).await.unwrap();
    assert_eq!(counted().await, WebhookStats { pending: 4, open_endpoints: 1 });
    let probe = claim_one(jobs).await;
    assert_eq!(deliveries(jobs, &webhook).await.iter().filter(|it| it.attempts == 0).count(), 3, "they use no try");
    // The next one waits as long as the receiver asked.
    let pause = DeliveryEnd::Retry { delay: Duration::ZERO, receiver_pause: Some(Duration::from_hours(1)) };
    finish(jobs, &probe, pause).await.unwrap();
    assert!(claim_all(jobs).await.is_empty());
    // Somebody asks: then it is tried, and with what they ask for.
    let test = jobs.test_webhook(None, webhook.id).await.unwrap().unwrap().id;
    let probe = claim_one(jobs).await;
    assert_eq!(probe.lease.delivery_id(), test);
    finish(jobs, &probe, pause).await.unwrap();
    assert!(claim_all(jobs).await.is_empty());
    let last = deliveries(jobs, &webhook).await.iter().rfind(|it| it.attempts == 0).expect("one that waits").id;
    jobs.redeliver(None, last).await.unwrap();
    let probe = claim_one(jobs).await;
    assert_eq!(probe.lease.delivery_id(), last);
    finish(jobs, &probe, DeliveryEnd::Delivered).await.unwrap();
    assert_eq!(counted().await, WebhookStats { pending: 4, open_endpoints: 0 });
    assert_eq!(claim_all(jobs).await.len(), 4, "one success closes the breaker");
}

async fn slow_receivers_are_told_from_quick_ones(database: &Database) {
    let jobs = &database.jobs;
    let (webhook, _) = register(jobs, &DEFAULT_WEBHOOK_EVENTS).await;
    let claim = async |pace| {
        jobs.test_webhook(None, webhook.id).await.unwrap().unwrap();
        jobs.claim_deliveries(&worker(), pace, 9).await.unwrap().remove(0)
    };
    let unknown = claim(Pace::Slow).await;
    finish(jobs, &unknown, DeliveryEnd::Delivered).await.unwrap();
    let quick = claim(Pace::Quick).await;
    let slowly = Exchange { duration: Duration::from_secs(3), ..exchange(200) };
    jobs.finish_delivery(&quick.lease, Utc::now(), &slowly, DeliveryEnd::Delivered).await.unwrap();
    claim(Pace::Slow).await;
}

async fn a_receiver_that_is_gone_or_fails_too_long_is_disabled_and_its_queue_kept(database: &Database) {
    let jobs = &database.jobs;
    let (webhook, _) = register(jobs, &DEFAULT_WEBHOOK_EVENTS).await;
    for _ in 0..2 {
        jobs.test_webhook(None, webhook.id).await.unwrap().unwrap();
    }
    let first = jobs.claim_deliveries(&worker(), Pace::Slow, 1).await.unwrap().remove(0);
    finish(jobs, &first, DeliveryEnd::Gone).await.unwrap();
    let gone = jobs.webhook(None, webhook.id).await.unwrap().unwrap();
    assert_eq!((gone.disabled_at.is_some(), gone.disabled_reason), (true, Some(DisabledReason::Gone)));
    assert!(claim_all(jobs).await.is_empty());
    let refused = jobs.redeliver(None, first.lease.delivery_id()).await.unwrap();
    assert_eq!(refused, Redelivery::Disabled);

    let enable = WebhookChange { is_enabled: Some(true), ..Default::default() };
    let enabled = jobs.change_webhook(None, webhook.id, &enable).await.unwrap().unwrap();
    assert_eq!((enabled.disabled_at, enabled.disabled_reason, enabled.consecutive_failures), (None, None, 0));
    let impatient =
        jobs.clone().with_webhook_policy(WebhookPolicy { disable_after: Duration::ZERO, ..Default::default() });
    let second = claim_one(&impatient).await;
    finish(&impatient, &second, RETRY_NOW).await.unwrap();
    let failing = jobs.webhook(None, webhook.id).await.unwrap().unwrap();
    assert_eq!(
        (failing.disabled_at, failing.failing_since.is_some()),
        (None, true),
        "the first failure begins the time"
    );
    let again = claim_one(&impatient).await;
    finish(&impatient, &again, RETRY_NOW).await.unwrap();
    let failing = jobs.webhook(None, webhook.id).await.unwrap().unwrap();
    assert_eq!(failing.disabled_reason, Some(DisabledReason::Failing));
    let pause = WebhookChange { is_enabled: Some(false), ..Default::default() };
    let paused = jobs.change_webhook(None, webhook.id, &pause).await.unwrap().unwrap();
    assert_eq!((paused.disabled_at, paused.disabled_reason), (failing.disabled_at, None));
    let pending = DeliveryFilter { status: Some(DeliveryStatus::Pending), ..ALL };
    assert_eq!(jobs.webhook_deliveries(webhook.id, &pending).await.unwrap().len(), 1, "the queue is kept");
}
