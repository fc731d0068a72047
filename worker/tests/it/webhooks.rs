//! Webhooks delivered to a real receiver over real sockets, whatever it does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::{JobId, StageKey, StageKind, StageRecord, WebhookUrl};
use egress::{Egress, EgressPolicy};
use http::HeaderMap;
use jobs::{
    Delivery, DeliveryFilter, DeliveryStatus, DisabledReason, EventKind, JobWebhook, Jobs, NewJob, NewWebhook,
    WEBHOOK_EVENTS, Webhook, WebhookChange, WebhookPolicy, WebhookSecret, WorkerId,
};
use serde_json::json;
use standin::webhook_receiver::{Reaction, Received, WebhookReceiver};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use worker::WebhookConfig;

use crate::fixture::{Database, result, spec};

/// Longest that anything a test waits for may take: only a broken test waits so long.
const PATIENCE: Duration = Duration::from_mins(3);

const ALL: DeliveryFilter = DeliveryFilter { status: None, before: None, limit: 100_000 };

/// A worker that delivers, with waits of milliseconds.
struct Courier {
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Courier {
    fn start(jobs: &Jobs, config: WebhookConfig) -> Self {
        let policy = EgressPolicy {
            allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            allow_plain_http: true,
            ..EgressPolicy::default()
        };
        Self::start_behind(jobs, config, policy)
    }

    fn start_behind(jobs: &Jobs, config: WebhookConfig, policy: EgressPolicy) -> Self {
        let shutdown = CancellationToken::new();
        let egress = Egress::new(policy).unwrap();
        let task = tokio::spawn(worker::deliver_webhooks(jobs.clone(), egress, config, shutdown.clone()));
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
    }
}

fn quick() -> WebhookConfig {
    WebhookConfig {
        waits: vec![Duration::from_millis(5); 9],
        overload_wait: Duration::from_millis(10),
        deadline: Duration::from_millis(500),
        idle: Duration::from_millis(5),
        ..WebhookConfig::default()
    }
}

fn forgiving() -> WebhookPolicy {
    WebhookPolicy {
        probe_interval: Duration::from_millis(5),
        slow_after: Duration::from_millis(200),
        ..Default::default()
    }
}

async fn database() -> Database {
    let mut database = Database::new().await;
    database.jobs = database.jobs.with_webhook_policy(forgiving());
    database
}

async fn register(jobs: &Jobs, url: &str, events: &[EventKind]) -> (Webhook, WebhookSecret) {
    let webhook = NewWebhook {
        owner: None,
        url: WebhookUrl::parse(url).unwrap(),
        description: String::new(),
        events: events.to_vec(),
        is_enabled: true,
    };
    jobs.create_webhook(webhook).await.unwrap().unwrap()
}

async fn test_message(jobs: &Jobs, webhook: &Webhook) -> Delivery {
    jobs.test_webhook(None, webhook.id).await.unwrap().unwrap()
}

/// A job that ends before a worker has it.
async fn canceled_job(jobs: &Jobs) -> JobId {
    let id = jobs.submit(spec()).await.unwrap().id;
    jobs.cancel(id).await.unwrap();
    id
}

async fn until_over(jobs: &Jobs, webhook: &Webhook) -> Vec<Delivery> {
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
fn verify(message: &Received, secret: &WebhookSecret) -> bool {
    let mut headers = HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, message.header(name).parse().unwrap());
    }
    standardwebhooks::Webhook::new(secret.expose()).unwrap().verify(&message.body, &headers).is_ok()
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_arrives_signed_by_every_valid_secret() {
    let database = database().await;
    let receiver = WebhookReceiver::obliging().await.unwrap();
    let (webhook, old) = register(&database.jobs, &receiver.url("/in?x=1"), &[EventKind::JobCanceled]).await;
    let new = database.jobs.rotate_webhook_secret(None, webhook.id).await.unwrap().unwrap().secret;
    let id = canceled_job(&database.jobs).await;
    let courier = Courier::start(&database.jobs, quick());
    let message = timeout(PATIENCE, receiver.arrived(1)).await.unwrap().remove(0);
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
    let now = chrono::Utc::now();
    let record = StageRecord { key: StageKind::Plan.into(), output: json!({}), started_at: now, finished_at: now };
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
        let now = chrono::Utc::now();
        let record = StageRecord { key, output: json!({}), started_at: now, finished_at: now };
        jobs.save_stage(&lease, &record).await.unwrap();
    }
    jobs.succeed(&lease, &result()).await.unwrap();
    job.id
}
