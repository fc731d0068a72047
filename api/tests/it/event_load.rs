//! Many streams, and readers that do not read.

use std::time::Duration;

use api::Pace;
use chrono::Utc;
use domain::{StageKey, StageKind};
use jobs::{LiveEvent, LiveNews};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::database::{Database, on_sqlite};
use crate::redis_server::RedisServer;
use crate::server::Server;
use crate::sse::{PATIENCE, Stream, connect, read_some};
use crate::work;

const STREAMS: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_are_open_and_requests_are_still_answered() {
    // A connection has two ends here.
    let limit = rlimit::increase_nofile_limit(4 * STREAMS as u64).expect("a limit");
    assert!(limit >= 3 * STREAMS as u64, "the system allows {limit} open files");
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    let path = format!("/jobs/{}/events", job.id);
    let mut readers = JoinSet::new();
    for _ in 0..STREAMS {
        let connection = connect(server.address, &path, None).await;
        readers.spawn(read_some(connection, usize::from(u16::MAX)));
    }
    for number in 0..20 {
        let key = StageKey { kind: StageKind::Edit, item: number.to_string() };
        work::save_stage(&server.jobs, &job.lease, key, json!({})).await;
        assert_eq!(server.get("/healthz").await.status, 200);
    }
    server.jobs.cancel(job.id).await.expect("cancel");
    server.jobs.confirm_cancel(&job.lease).await.expect("confirm");
    let expected = Stream::open(&server, &path, None).await.rest().await;
    assert_eq!(expected.len(), 24);
    while let Some(reader) = timeout(PATIENCE, readers.join_next()).await.expect("in time") {
        let (events, is_cut) = reader.expect("it reads");
        assert!(!is_cut && events == expected, "{}", events.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_takes_nothing_is_dropped_and_resumes() {
    let Some(redis) = RedisServer::start().await else { return };
    on_sqlite(async |database: &Database| {
        let jobs = database.reopen().await.with_redis(&redis.url()).expect("an address");
        let server = Server::over(jobs, Pace { write_timeout: Duration::from_millis(300), ..Pace::default() }).await;
        let job = work::running(&server.jobs).await;
        let path = format!("/jobs/{}/events", job.id);
        let channel = format!("tinygen:job:{}", job.id);
        let is_watched = async || redis.command(&["PUBSUB", "NUMSUB", &channel]).await.ends_with('1');

        let reader = connect(server.address, &path, None).await;
        until(async || is_watched().await).await;
        let before_kib = resident_kib();
        let text = "x".repeat(16 * 1024);
        let mut told_bytes = 0;
        until(async || {
            // What nobody takes is dropped, however much it is.
            for _ in 0..100 {
                let news = LiveNews::Text { offset: 0, text: text.clone() };
                server.jobs.tell(job.id, LiveEvent { stage: StageKind::Plan.into(), at: Utc::now(), news });
                told_bytes += text.len();
                tokio::task::yield_now().await;
            }
            !is_watched().await
        })
        .await;
        let grown_kib = resident_kib().saturating_sub(before_kib);
        assert!(grown_kib < 64 * 1024, "{grown_kib} KiB for {told_bytes} bytes");

        work::save_stage(&server.jobs, &job.lease, StageKind::Plan.into(), json!({})).await;
        server.jobs.cancel(job.id).await.expect("cancel");
        let (events, is_cut) = read_some(reader, 64 << 20).await;
        assert!(!is_cut, "the server ended it");
        let last = events.iter().filter_map(|event| event.id).next_back();
        assert_eq!(last, Some(2), "what came before the silence");
        let mut again = Stream::open(&server, &path, last).await;
        for expected in ["stage.succeeded", "job.cancelRequested"] {
            assert_eq!(again.next().await.expect("an event").kind, expected);
        }
    })
    .await;
}

async fn until(mut is_there: impl AsyncFnMut() -> bool) {
    let arrival = async {
        while !is_there().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, arrival).await.expect("it gets there");
}

/// The memory that this process holds, as the kernel counts it.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident size");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}
