//! What streams of events cost: the wait for the first events of a job, and the memory of a thousand open streams.
//!
//! The model is a stand-in on loopback that never answers, so that the jobs run on.

#[path = "../tests/it/app.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod app;

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::Value;
use standin::claude::Reply;

use crate::app::{Server, World};

const JOBS: usize = 4;
const STREAMS: usize = 1000;

#[tokio::main]
async fn main() {
    rlimit::increase_nofile_limit(4 * STREAMS as u64).expect("a limit");
    let world = World::new(|_: &standin::claude::RequestView| Reply::hang()).await;
    let server = world.serve().await;
    let (mut first, mut started) = (Vec::new(), Vec::new());
    let mut last = Value::Null;
    // As many jobs as are worked on at a time: none of them waits for another.
    for _ in 0..JOBS {
        let job = server.submit(&world.repo_url).await;
        let begun = Instant::now();
        let mut stream = open(&server, &job["id"]).await;
        read_until(&mut stream, "job.queued").await;
        first.push(begun.elapsed());
        read_until(&mut stream, "stage.started").await;
        started.push(begun.elapsed());
        last = job["id"].clone();
    }
    let before_kib = resident_kib(&server);
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = open(&server, &last).await;
        read_until(&mut stream, "job.queued").await;
        streams.push(stream);
    }
    let open_kib = resident_kib(&server);
    println!("202 to the first event                             {:>8.1} ms  (n={JOBS})", ms(median(first)));
    println!("202 to the start of the first stage                {:>8.1} ms  (n={JOBS})", ms(median(started)));
    println!("resident memory                                    {:>8.1} MiB", mib(before_kib));
    println!("resident memory with {STREAMS} open streams             {:>8.1} MiB", mib(open_kib));
    let begun = Instant::now();
    server.terminate().await;
    println!("end of the server with {STREAMS} open streams           {:>8.1} ms", ms(begun.elapsed()));
}

async fn open(server: &Server, id: &Value) -> Response {
    let url = format!("{}/jobs/{}/events", server.url, id.as_str().expect("an id"));
    server.client.get(url).header("accept", "text/event-stream").send().await.expect("an answer")
}

/// Reads until an event of this kind was received.
async fn read_until(stream: &mut Response, kind: &str) {
    let line = format!("event: {kind}\n");
    let mut text = String::new();
    while !text.contains(&line) {
        let bytes = stream.chunk().await.expect("readable").expect("more events");
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
}

/// The memory that the process holds, as the kernel counts it.
fn resident_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.pid())).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident size");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

fn median(mut values: Vec<Duration>) -> Duration {
    values.sort();
    values[values.len() / 2]
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "a figure for reading")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
