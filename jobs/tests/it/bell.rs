//! A bell in Redis: heard by other processes, and harmless whatever becomes of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use domain::WebhookUrl;
use jobs::{DEFAULT_WEBHOOK_EVENTS, Jobs, NewWebhook, StoreError, WorkerId};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::pair::Pair;
use crate::redis_server::RedisServer;
use crate::sample::spec;

/// Far longer than any of these tests takes: who returns before was called.
const LONG: Duration = Duration::from_mins(5);
/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// More rings than the list holds.
const MOST_RINGS: usize = 1024;
const LIST: &str = "tinygen:bell";

impl Pair {
    /// Rings, and finds that the worker hears it.
    async fn must_ring(&self, redis: &RedisServer) {
        self.api.submit(spec()).await.unwrap();
        assert_eq!(redis.command(&["LLEN", LIST]).await, "1", "the ring is there");
        let heard = async {
            while redis.command(&["LLEN", LIST]).await != "0" {
                self.worker.wait(LONG).await;
            }
        };
        timeout(PATIENCE, heard).await.expect("the worker hears it");
    }
}

#[tokio::test]
async fn a_waiting_worker_of_another_process_is_woken() {
    let Some(redis) = RedisServer::start().await else { return };
    let pair = Pair::new(&redis).await;
    let worker = pair.worker.clone();
    let waiting = tokio::spawn(async move { worker.wait(LONG).await });
    until(async || redis.command(&["INFO", "clients"]).await.contains("blocked_clients:1")).await;
    // What Redis forgets, or never knew, does not matter to who waits.
    redis.command(&["FLUSHALL"]).await;
    pair.api.submit(spec()).await.unwrap();
    timeout(PATIENCE, waiting).await.expect("woken").unwrap();
    pair.must_ring(&redis).await;
}

#[tokio::test]
async fn nobody_waits_longer_than_asked() {
    let Some(redis) = RedisServer::start().await else { return };
    let pair = Pair::new(&redis).await;
    timeout(PATIENCE, pair.worker.wait(Duration::from_millis(50))).await.expect("idle is over");
    timeout(PATIENCE, pair.worker.wait(Duration::ZERO)).await.expect("idle is over");
}

#[tokio::test]
async fn the_list_is_bounded() {
    let Some(redis) = RedisServer::start().await else { return };
    let pair = Pair::new(&redis).await;
    for _ in 0..100 {
        pair.api.submit(spec()).await.unwrap();
    }
    for _ in 0..MOST_RINGS / 100 {
        assert_eq!(pair.api.sweep().await.unwrap().due, 100);
    }
    assert_eq!(redis.command(&["LLEN", LIST]).await, MOST_RINGS.to_string());
}

#[tokio::test]
async fn lost_doubled_and_reordered_rings_change_nothing() {
    let Some(redis) = RedisServer::start().await else { return };
    let pair = Pair::new(&redis).await;
    let mut waiting = BTreeSet::new();
    for _ in 0..6 {
        waiting.insert(pair.api.submit(spec()).await.unwrap().id);
    }
    redis.command(&["FLUSHALL"]).await;
    pair.api.sweep().await.unwrap();
    pair.worker.sweep().await.unwrap();
    redis.command(&["LMOVE", LIST, LIST, "RIGHT", "LEFT"]).await;
    redis.command(&["LPUSH", LIST, "not a job"]).await;

    let worker = WorkerId::new("worker");
    let mut claimed = BTreeSet::new();
    // More rings than jobs: the rest wake the worker for nothing.
    for _ in 0..13 {
        timeout(PATIENCE, pair.worker.wait(LONG)).await.expect("there are 13 rings");
        if let Some(job) = pair.worker.claim(&worker).await.unwrap() {
            assert!(claimed.insert(job.id), "claimed once");
        }
    }
    assert_eq!(claimed, waiting);
    assert_eq!(redis.command(&["LLEN", LIST]).await, "0");
}

#[tokio::test]
async fn a_redis_that_is_killed_delays_nobody_and_comes_back_empty() {
    let Some(mut redis) = RedisServer::start().await else { return };
    let pair = Pair::new(&redis).await;
    pair.must_ring(&redis).await;
    pair.api.submit(spec()).await.unwrap();
    redis.kill().await;
    nobody_is_delayed(&pair).await;
    redis.restart().await;
    pair.must_ring(&redis).await;
}

#[tokio::test]
async fn a_wrong_password_is_the_same_as_an_absent_redis() {
    let Some(redis) = RedisServer::start().await else { return };
    let pair = Pair::new(&redis).await;
    pair.must_ring(&redis).await;
    redis.command(&["CONFIG", "SET", "requirepass", "changed"]).await;
    redis.command(&["-a", "changed", "--no-auth-warning", "CLIENT", "KILL", "TYPE", "normal"]).await;
    nobody_is_delayed(&pair).await;
    redis.command(&["-a", "changed", "--no-auth-warning", "CONFIG", "SET", "requirepass", ""]).await;
    pair.must_ring(&redis).await;
}

#[tokio::test]
async fn a_redis_that_hangs_delays_nobody() {
    let Some(redis) = RedisServer::start().await else { return };
    let pair = Pair::new(&redis).await;
    pair.must_ring(&redis).await;
    redis.stop().await;
    let start = Instant::now();
    pair.api.submit(spec()).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    redis.go_on().await;
    redis.command(&["FLUSHALL"]).await;
    pair.must_ring(&redis).await;
}

/// A job is accepted at once, and a worker that waits looks for it soon.
async fn nobody_is_delayed(pair: &Pair) {
    let start = Instant::now();
    pair.api.submit(spec()).await.unwrap();
    pair.api.sweep().await.unwrap();
    pair.worker.wait(LONG).await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(pair.worker.claim(&WorkerId::new("worker")).await.unwrap().is_some());
}

#[tokio::test]
async fn while_redis_hangs_a_worker_hears_the_sweep_of_its_own_process() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let jobs = Jobs::open(&format!("sqlite:{}", folder.path().join("jobs.db").display())).await.unwrap();
    jobs.migrate().await.unwrap();
    jobs.submit(spec()).await.unwrap();
    let jobs = jobs.with_redis(&url).unwrap();
    let waiting = tokio::spawn({
        let jobs = jobs.clone();
        async move { jobs.wait(LONG).await }
    });
    jobs.sweep().await.unwrap();
    timeout(PATIENCE, waiting).await.expect("the sweep calls it").unwrap();
    assert_eq!(jobs.redis_answers().await, Some(false));
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_showing_it() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["", "http://user:secret@host", "redis://user:secret@host:port"] {
        let jobs = Jobs::open(&format!("sqlite:{}", folder.path().join("jobs.db").display())).await.unwrap();
        let error = jobs.with_redis(url).unwrap_err();
        assert!(matches!(error, StoreError::RedisAddress(_)), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
    }
}

/// TLS needs a provider of cryptography that is chosen when the program is built: without one, connecting panics.
#[tokio::test]
async fn connects_with_tls_when_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rediss://{}", listener.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let jobs = Jobs::open(&format!("sqlite:{}", folder.path().join("jobs.db").display())).await.unwrap();
    jobs.migrate().await.unwrap();
    let jobs = jobs.with_redis(&url).unwrap();
    let ring = async { jobs.submit(spec()).await.unwrap() };
    let hello = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap()
    };
    let (_, first) = tokio::join!(ring, hello);
    assert_eq!(first, 0x16, "a TLS handshake");
}

#[tokio::test]
async fn couriers_of_another_process_are_called() {
    let Some(mut redis) = RedisServer::start().await else { return };
    let pair = Pair::new(&redis).await;
    let (api, worker) = (pair.api.clone(), pair.worker.clone());
    let telling = tokio::spawn(async move { api.tell_of_deliveries().await });
    let hearing = tokio::spawn(async move { worker.hear_of_deliveries().await });
    let webhook = NewWebhook {
        owner: None,
        url: WebhookUrl::parse("https://hooks.example.org/").unwrap(),
        description: String::new(),
        events: DEFAULT_WEBHOOK_EVENTS.to_vec(),
        is_enabled: true,
    };
    let (webhook, _) = pair.api.create_webhook(webhook).await.unwrap().unwrap();
    let must_call = async || {
        pair.api.test_webhook(None, webhook.id).await.unwrap().unwrap();
        timeout(PATIENCE, pair.worker.wait_for_deliveries(LONG)).await.expect("called");
    };
    must_call().await;
    redis.kill().await;
    pair.api.test_webhook(None, webhook.id).await.unwrap().unwrap();
    redis.restart().await;
    until(async || redis.command(&["INFO", "clients"]).await.contains("blocked_clients:1")).await;
    must_call().await;
    until(async || redis.command(&["LLEN", "tinygen:couriers"]).await == "0").await;
    telling.abort();
    hearing.abort();
}

async fn until(is_there: impl AsyncFn() -> bool) {
    let arrival = async {
        while !is_there().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, arrival).await.expect("it gets there");
}
