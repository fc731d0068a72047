//! A courier is called when there is something to send; it need not look.

use domain::{StageKind, StageRecord};
use jobs::{DeliveryStatus, EventKind, WEBHOOK_EVENTS, WebhookChange, WebhookPolicy, WorkerId};
use serde_json::json;
use standin::webhook_receiver::{Reaction, WebhookReceiver};
use tokio::time::timeout;
use worker::WebhookConfig;

use crate::courier::{Courier, PATIENCE, canceled_job, database, forgiving, quick, register, test_message, until_over};
use crate::fixture::{result, spec};

/// So seldom does it look that a test does not see it.
fn called() -> WebhookConfig {
    WebhookConfig { idle: PATIENCE * 10, ..quick() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_courier_need_not_look_to_send_what_its_process_writes() {
    let receiver = WebhookReceiver::obliging().await.unwrap();
    let database = database().await;
    let jobs = &database.jobs;
    let (webhook, _) = register(jobs, &receiver.url("/"), &WEBHOOK_EVENTS).await;
    let courier = Courier::start(jobs, called());
    let mut count = 0;
    let mut must_arrive = async |what: &str| {
        count += 1;
        let arrived = timeout(PATIENCE, receiver.arrived(count)).await;
        arrived.unwrap_or_else(|_| panic!("nobody is called for {what}"));
    };
    let test = test_message(jobs, &webhook).await;
    must_arrive("a test").await;
    let canceled = jobs.submit(spec()).await.unwrap().id;
    jobs.cancel(canceled).await.unwrap();
    must_arrive("a job that is canceled as it waits").await;
    jobs.submit(spec()).await.unwrap();
    let lease = jobs.claim(&WorkerId::new("test")).await.unwrap().unwrap().lease;
    must_arrive("a claim").await;
    let record = StageRecord { key: StageKind::Plan.into(), output: json!({}) };
    jobs.save_stage(&lease, &record).await.unwrap();
    must_arrive("a stage").await;
    jobs.succeed(&lease, &result()).await.unwrap();
    must_arrive("a result").await;
    until_over(jobs, &webhook).await;
    jobs.redeliver(None, test.id).await.unwrap();
    must_arrive("a redelivery").await;
    until_over(jobs, &webhook).await;
    let since = jobs.get(canceled).await.unwrap().unwrap().finished_at.unwrap();
    let replayed = jobs.replay(None, webhook.id, since, None, None).await.unwrap().unwrap();
    for _ in 0..replayed {
        must_arrive("a replay").await;
    }
    assert_eq!(replayed, 4, "all but the test");
    let enabled = |is_enabled| WebhookChange { is_enabled: Some(is_enabled), ..WebhookChange::default() };
    jobs.change_webhook(None, webhook.id, &enabled(false)).await.unwrap();
    canceled_job(jobs).await;
    jobs.change_webhook(None, webhook.id, &enabled(true)).await.unwrap();
    must_arrive("a webhook that is enabled").await;
    courier.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_courier_need_not_look_to_try_again() {
    let receiver = WebhookReceiver::start(|message| Reaction::Status(if message.number < 5 { 500 } else { 204 }));
    let receiver = receiver.await.unwrap();
    let database = database().await;
    // No probe comes between.
    let jobs = database.jobs.clone().with_webhook_policy(WebhookPolicy { breaker_failures: 100, ..forgiving() });
    let (webhook, _) = register(&jobs, &receiver.url("/"), &[EventKind::JobCanceled]).await;
    let courier = Courier::start(&jobs, called());
    canceled_job(&jobs).await;
    let delivery = until_over(&jobs, &webhook).await.remove(0);
    assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Delivered, 6));
    courier.stop().await;
}
