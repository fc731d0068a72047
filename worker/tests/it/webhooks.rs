//! Webhooks delivered to a real receiver over real sockets, whatever it does.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::WebhookUrl;
use egress::EgressPolicy;
use jobs::{DeliveryStatus, DisabledReason, EventKind, Jobs, NewJob, NewWebhook, Webhook, WebhookSecret, WorkerId};
use serde_json::json;
use standin::webhook_receiver::{Reaction, Received, WebhookReceiver};
use tokio::time::timeout;
use worker::WebhookConfig;

use crate::courier::{Courier, PATIENCE, canceled_job, database, quick, register, test_message, until_over, verify};
use crate::fixture::spec;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_arrives_signed_by_every_valid_secret() {
    let database = database().await;
    let receiver = WebhookReceiver::obliging().await.unwrap();
    let (webhook, old) = register(&database.jobs, &receiver.url("/in?x=1"), &[EventKind::JobCanceled]).await;
    let new = database.jobs.rotate_webhook_secret(None, webhook.id).await.unwrap().unwrap().secret;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = NewJob { trace_context: Some(trace.to_owned()), ..NewJob::from(spec()) };
    let id = database.jobs.submit(traced).await.unwrap().id;
    database.jobs.cancel(id).await.unwrap();
    let courier = Courier::start(&database.jobs, quick());
    let message = timeout(PATIENCE, receiver.arrived(1)).await.unwrap().remove(0);
    assert_eq!(message.header("traceparent"), trace);
    assert!(verify(&message, &old) && verify(&message, &new));
    assert!(!verify(&Received { body: b"{}".to_vec(), ..message.clone() }, &new), "another body");
    assert_eq!(message.header("user-agent"), concat!("tinygen/", env!("CARGO_PKG_VERSION")));
    assert_eq!((message.header("content-type"), message.target.as_str()), ("application/json", "/in?x=1"));
    let body = message.json().unwrap();
    assert_eq!((&body["type"], &body["data"]["id"]), (&json!("job.canceled"), &json!(id.to_string())));
    let delivery = until_over(&database.jobs, &webhook).await.remove(0);
    assert_eq!(
        (delivery.status, delivery.message_id.as_str()),
        (DeliveryStatus::Delivered, message.header("webhook-id"))
    );
    courier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_receiver_does_wrong_is_tried_again_and_told() {
    let elsewhere = WebhookReceiver::obliging().await.unwrap();
    let redirect = Reaction::Answer {
        status: 307,
        headers: vec![("Location", elsewhere.url("/stolen"))],
        body: b"see there".to_vec(),
    };
    let wrongs: Vec<(Reaction, Option<u16>, &str)> = vec![
        (Reaction::Status(500), Some(500), "the receiver answered 500"),
        (Reaction::Status(404), Some(404), "the receiver answered 404"),
        (redirect, Some(307), "the receiver redirected (307), which is not followed"),
        (Reaction::Hang, None, "the host did not answer in time"),
        (Reaction::Dribble(Duration::from_millis(50)), None, "the host did not answer in time"),
        (Reaction::HalfClose, None, "the host cannot be reached or broke off"),
        (Reaction::Reset, None, "the host cannot be reached or broke off"),
    ];
    let script: Vec<Reaction> = wrongs.iter().map(|(reaction, _, _)| reaction.clone()).collect();
    let receiver =
        WebhookReceiver::start(move |message| script.get(message.number).cloned().unwrap_or(Reaction::Flood(20 << 20)));
    let receiver = receiver.await.unwrap();
    let database = database().await;
    let (webhook, _) = register(&database.jobs, &receiver.url("/"), &[EventKind::JobCanceled]).await;
    canceled_job(&database.jobs).await;
    let courier = Courier::start(&database.jobs, quick());
    let delivery = until_over(&database.jobs, &webhook).await.remove(0);
    assert_eq!(delivery.status, DeliveryStatus::Delivered);
    let attempts = database.jobs.delivery_attempts(delivery.id).await.unwrap();
    assert_eq!(attempts.len(), wrongs.len() + 1);
    for (attempt, (reaction, status, error)) in attempts.iter().zip(&wrongs) {
        assert_eq!(
            (attempt.exchange.status, attempt.exchange.error.as_deref()),
            (*status, Some(*error)),
            "{reaction:?}"
        );
        assert!(attempt.exchange.duration < quick().deadline * 2, "{:?}", attempt.exchange);
    }
    let last = &attempts[wrongs.len()].exchange;
    assert_eq!((last.status, last.response.as_ref().map(String::len)), (Some(200), Some(4096)), "4 KiB of 20 MiB");
    let messages = receiver.received();
    let ids: HashSet<&str> = messages.iter().map(|message| message.header("webhook-id")).collect();
    assert_eq!(ids.len(), 1, "the same id at every try");
    assert!(elsewhere.received().is_empty(), "no redirect is followed");
    courier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_end_after_the_schedule_and_a_redelivery_begins_it_anew() {
    let is_up = Arc::new(AtomicBool::new(false));
    let answer = Arc::clone(&is_up);
    let receiver =
        WebhookReceiver::start(move |_| Reaction::Status(if answer.load(Ordering::SeqCst) { 200 } else { 500 }));
    let receiver = receiver.await.unwrap();
    let database = database().await;
    let (webhook, _) = register(&database.jobs, &receiver.url("/"), &[EventKind::JobCanceled]).await;
    canceled_job(&database.jobs).await;
    let courier = Courier::start(&database.jobs, quick());
    let failed = until_over(&database.jobs, &webhook).await.remove(0);
    assert_eq!((failed.status, failed.attempts), (DeliveryStatus::Failed, 10));
    is_up.store(true, Ordering::SeqCst);
    database.jobs.redeliver(None, failed.id).await.unwrap();
    let delivered = until_over(&database.jobs, &webhook).await.remove(0);
    assert_eq!((delivered.status, delivered.attempts), (DeliveryStatus::Delivered, 11));
    courier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_is_heeded_when_it_asks_for_time_or_wants_no_more() {
    let receiver = WebhookReceiver::start(|message| match message.number {
        0 => Reaction::Answer { status: 429, headers: vec![("Retry-After", "2".to_owned())], body: Vec::new() },
        _ => Reaction::Status(410),
    });
    let receiver = receiver.await.unwrap();
    let database = database().await;
    let (webhook, _) = register(&database.jobs, &receiver.url("/"), &[EventKind::JobCanceled]).await;
    canceled_job(&database.jobs).await;
    let courier = Courier::start(&database.jobs, quick());
    let failed = until_over(&database.jobs, &webhook).await.remove(0);
    assert_eq!((failed.status, failed.attempts), (DeliveryStatus::Failed, 2));
    let messages = receiver.received();
    assert!(messages[1].at - messages[0].at >= Duration::from_millis(1_950), "it asked for two seconds");
    let disabled = database.jobs.webhook(None, webhook.id).await.unwrap().unwrap();
    assert_eq!(disabled.disabled_reason, Some(DisabledReason::Gone));
    courier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_never_ends_does_not_undo_a_success() {
    let receiver = WebhookReceiver::start(|_| Reaction::HangInBody).await.unwrap();
    let database = database().await;
    let (webhook, _) = register(&database.jobs, &receiver.url("/"), &[EventKind::JobCanceled]).await;
    let delivery = test_message(&database.jobs, &webhook).await;
    let courier = Courier::start(&database.jobs, quick());
    let over = until_over(&database.jobs, &webhook).await.remove(0);
    assert_eq!(over.status, DeliveryStatus::Delivered);
    let attempts = database.jobs.delivery_attempts(delivery.id).await.unwrap();
    assert_eq!(attempts[0].exchange.response.as_deref(), Some("ok"));
    assert!(attempts[0].exchange.duration >= quick().deadline, "it had until the deadline");
    courier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocked_addresses_get_no_connection() {
    let receiver = WebhookReceiver::obliging().await.unwrap();
    let database = database().await;
    let url = receiver.url("/").replace("127.0.0.1", "localhost");
    let mut webhooks = Vec::new();
    for url in [receiver.url("/"), url] {
        let (webhook, _) = register(&database.jobs, &url, &[EventKind::JobCanceled]).await;
        test_message(&database.jobs, &webhook).await;
        webhooks.push(webhook);
    }
    // The policy has changed since the webhooks were registered.
    let strict = EgressPolicy { allow_plain_http: true, ..EgressPolicy::default() };
    let courier = Courier::start_behind(&database.jobs, quick(), strict);
    for webhook in &webhooks {
        let delivery = until_over(&database.jobs, webhook).await.remove(0);
        let attempts = database.jobs.delivery_attempts(delivery.id).await.unwrap();
        assert_eq!(attempts[0].exchange.error.as_deref(), Some("the host is not allowed"));
    }
    assert_eq!(receiver.connections(), 0);
    courier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_receivers_delay_nobody_else() {
    let slow = WebhookReceiver::start(|_| Reaction::Hang).await.unwrap();
    let quick_one = WebhookReceiver::obliging().await.unwrap();
    let database = database().await;
    let config = WebhookConfig { concurrency: 16, kept_for_quick: 4, deadline: Duration::from_secs(10), ..quick() };
    let courier = Courier::start(&database.jobs, config);
    let (fast, _) = register(&database.jobs, &quick_one.url("/"), &[EventKind::JobCanceled]).await;
    test_message(&database.jobs, &fast).await;
    until_over(&database.jobs, &fast).await;
    // Far more than there are places.
    for number in 0..40 {
        let url = slow.url(&format!("/{number}"));
        let (webhook, _) = register_of(&database.jobs, &format!("owner-{number}"), &url).await;
        for _ in 0..5 {
            test_message(&database.jobs, &webhook).await;
        }
    }
    timeout(PATIENCE, slow.arrived(12)).await.expect("their places are taken");
    let began = Instant::now();
    for _ in 0..20 {
        test_message(&database.jobs, &fast).await;
    }
    until_over(&database.jobs, &fast).await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}: less than one deadline of the slow ones", began.elapsed());
    let stopped = Instant::now();
    courier.stop().await;
    assert!(stopped.elapsed() < Duration::from_secs(2), "what hangs is handed back: {:?}", stopped.elapsed());
    let jobs = &database.jobs;
    let again = jobs.claim_deliveries(&WorkerId::new("next"), jobs::Pace::Slow, 64).await.unwrap();
    assert!(again.iter().any(|delivery| delivery.tries == 0) && again.len() == 40, "and may be sent at once");
}

async fn register_of(jobs: &Jobs, owner: &str, url: &str) -> (Webhook, WebhookSecret) {
    let webhook = NewWebhook {
        owner: Some(owner.to_owned()),
        url: WebhookUrl::parse(url).unwrap(),
        description: String::new(),
        events: vec![EventKind::JobCanceled],
        is_enabled: true,
    };
    jobs.create_webhook(webhook).await.unwrap().unwrap()
}
