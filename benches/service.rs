//! What the service itself costs: start-up, idle memory, and the overhead of jobs whose model answers at once.
//!
//! Prints medians over several runs, in one table. The model is a stand-in on loopback; its own time is part of what is
//! measured.

#[path = "../tests/it/app.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod app;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::{Server, World, diligent};

const STARTS: usize = 11;
const JOBS: usize = 41;

#[tokio::main]
async fn main() {
    let world = World::new(diligent).await;

    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let server = world.serve().await;
        ready(&server).await;
        starts.push(begun.elapsed());
        server.terminate().await;
    }

    let server = world.serve().await;
    ready(&server).await;
    // Idle means idle: the memory of a start is given back, and the pools have settled.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle_kib = resident_kib(&server);

    let (mut walls, mut stages) = (Vec::new(), Vec::new());
    for _ in 0..JOBS {
        let begun = Instant::now();
        let id = server.submit(&world.repo_url).await["id"].clone();
        let job = server.wait(&id).await;
        walls.push(begun.elapsed());
        assert_eq!(job["status"], "succeeded", "{job:#}");
        stages.push(durations(&job));
    }
    let busy_kib = resident_kib(&server);
    server.terminate().await;

    println!("start of `serve` to the first answer of /readyz   {:>8.1} ms  (n={STARTS})", ms(median(starts)));
    println!("resident memory, idle                              {:>8.1} MiB", mib(idle_kib));
    println!("resident memory after {JOBS} jobs                     {:>8.1} MiB", mib(busy_kib));
    println!("job, POST to succeeded (polled every 20 ms)        {:>8.1} ms  (n={JOBS})", ms(median(walls)));
    for (index, name) in ["snapshot", "sheet", "plan", "edit", "review"].iter().enumerate() {
        let of_stage = stages.iter().map(|durations| Duration::from_millis(durations[index])).collect();
        println!("  stage {name:<10}                                 {:>8.1} ms", ms(median(of_stage)));
    }
}

/// Asks until the service is ready.
async fn ready(server: &Server) {
    let url = format!("{}/readyz", server.url);
    while !server.client.get(&url).send().await.is_ok_and(|response| response.status().is_success()) {}
}

/// The memory that the process holds, as the kernel counts it.
fn resident_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.pid())).expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident size");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

fn durations(job: &Value) -> Vec<u64> {
    let stages = job["stages"].as_array().expect("stages").iter();
    stages.map(|stage| stage["durationMs"].as_u64().expect("a duration")).collect()
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
