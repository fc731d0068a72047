//! Very many webhooks, to a receiver that does everything wrong now and then.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::{JobId, StageKey, StageKind, StageRecord, WebhookUrl};
use jobs::{DeliveryStatus, JobWebhook, Jobs, NewJob, WEBHOOK_EVENTS, WebhookSecret, WorkerId};
use serde_json::json;
use standin::webhook_receiver::{Reaction, Received, WebhookReceiver};
use tokio::time::{sleep, timeout};
use worker::WebhookConfig;

use crate::courier::{ALL, Courier, PATIENCE, database, quick, register, until_over};
use crate::fixture::{result, spec};

/// Jobs in the storm of `nothing_is_lost_…`: each has two receivers of five messages. 1,000 make 10,000 deliveries.
fn storm_jobs() -> usize {
    std::env::var("TINYGEN_WEBHOOK_STORM_JOBS").map_or(40, |jobs| jobs.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_out_of_order_or_badly_signed_in_a_storm_of_faults() {
    let calls = Arc::new(AtomicUsize::new(0));
    let faulty = move |_: &Received| match calls.fetch_add(1, Ordering::SeqCst).wrapping_mul(2_654_435_761) >> 7 & 31 {
        0 | 1 => Reaction::Status(500),
        2 => Reaction::Reset,
        3 => Reaction::HalfClose,
        4 => Reaction::Status(503),
        5 => Reaction::After(Duration::from_millis(30), Box::new(Reaction::Status(200))),
        _ => Reaction::Status(204),
    };
    let receiver = WebhookReceiver::start(faulty).await.unwrap();
    let database = database().await;
    let (webhook, secret) = register(&database.jobs, &receiver.url("/endpoint"), &WEBHOOK_EVENTS).await;
    let default = database.jobs.default_webhook_secret(None).await.unwrap();
    let config = WebhookConfig { waits: vec![Duration::from_millis(5); 60], ..quick() };
    let couriers = [Courier::start(&database.jobs, config.clone()), Courier::start(&database.jobs, config.clone())];
    let mut ids = Vec::new();
    for number in 0..storm_jobs() {
        ids.push(whole_life(&database.jobs, &receiver.url(&format!("/own/{number}"))).await);
    }
    // One of the two workers is replaced in the middle of it.
    let [first, second] = couriers;
    first.stop().await;
    let third = Courier::start(&database.jobs, config);

    let over = until_over(&database.jobs, &webhook).await;
    for id in &ids {
        let own = async {
            while database
                .jobs
                .job_deliveries(*id, &ALL)
                .await
                .unwrap()
                .iter()
                .any(|it| it.status == DeliveryStatus::Pending)
            {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, own).await.expect("they are over");
    }
    second.stop().await;
    third.stop().await;

    let mut first_seen: HashMap<(String, String), Vec<u64>> = HashMap::new();
    let mut badly_signed = 0;
    for message in receiver.received() {
        let is_own = message.target.starts_with("/own/");
        badly_signed += usize::from(!verify_as_of_arrival(&message, if is_own { &default } else { &secret }));
        let body = message.json().unwrap();
        let job = body["data"]["id"].as_str().unwrap().to_owned();
        let version = body["data"]["version"].as_u64().unwrap();
        let seen = first_seen.entry((message.target, job)).or_default();
        if !seen.contains(&version) {
            seen.push(version);
        }
    }
    let expected: Vec<u64> = vec![2, 4, 6, 8, 9];
    let out_of_order = first_seen.values().filter(|seen| !seen.is_sorted()).count();
    let lost: usize =
        first_seen.values().map(|seen| expected.iter().filter(|version| !seen.contains(version)).count()).sum();
    let lost = lost + (2 * ids.len() - first_seen.len()) * expected.len();
    println!(
        "{} messages, {} requests: lost {lost}, out of order {out_of_order}, badly signed {badly_signed}",
        2 * ids.len() * expected.len(),
        receiver.received().len()
    );
    assert_eq!((lost, out_of_order, badly_signed), (0, 0, 0));
    assert!(over.iter().all(|delivery| delivery.status == DeliveryStatus::Delivered));
}

/// A job with a webhook of its own, from its submission to its result: five events that are told.
async fn whole_life(jobs: &Jobs, url: &str) -> JobId {
    let own = JobWebhook { url: WebhookUrl::parse(url).unwrap(), events: WEBHOOK_EVENTS.to_vec() };
    let job = jobs.submit(NewJob { webhook: Some(own), ..NewJob::from(spec()) }).await.unwrap();
    let lease = jobs.claim(&WorkerId::new("test")).await.unwrap().unwrap().lease;
    for kind in [StageKind::Snapshot, StageKind::Sheet, StageKind::Plan] {
        let key = StageKey::from(kind);
        jobs.start_stage(&lease, &key).await.unwrap();
        let record = StageRecord { key, output: json!({}) };
        jobs.save_stage(&lease, &record).await.unwrap();
    }
    jobs.succeed(&lease, &result()).await.unwrap();
    job.id
}

/// Like [`verify`], for a message of long ago: the library would compare its time with now instead of when it came.
fn verify_as_of_arrival(message: &Received, secret: &WebhookSecret) -> bool {
    const TOLERANCE_SECONDS: u64 = 5 * 60;
    let came_at = chrono::Utc::now().timestamp() - i64::try_from(message.at.elapsed().as_secs()).unwrap();
    let sent_at: i64 = message.header("webhook-timestamp").parse().unwrap();
    let library = standardwebhooks::Webhook::new(secret.expose()).unwrap();
    let expected = library.sign(message.header("webhook-id"), sent_at, &message.body).unwrap();
    let is_signed = message.header("webhook-signature").split(' ').any(|signature| signature == expected);
    is_signed && sent_at.abs_diff(came_at) <= TOLERANCE_SECONDS
}
