//! What the service itself costs: start-up, memory, and the overhead of jobs whose model answers at once.
//!
//! Medians over several runs. The model is a stand-in on loopback; its own time is part of what is measured.

#[expect(dead_code, reason = "other benches use the rest")]
mod rig;

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use crate::rig::app::{Server, World, diligent};
use crate::rig::process::{memory_kib, mib};
use crate::rig::{median, ms, print_table};

const STARTS: usize = 11;
const JOBS: usize = 41;
/// The memory of a start is given back, and the pools have settled.
const SETTLING: Duration = Duration::from_secs(2);
const STAGES: [&str; 5] = ["snapshot", "sheet", "plan", "edit", "review"];

#[tokio::main]
async fn main() {
    let world = World::new(diligent).await;
    let mut rows =
        vec![vec!["start of `serve` to the first answer of /readyz, ms".to_owned(), ms(start(&world).await)]];
    let server = world.serve().await;
    ready(&server).await;
    sleep(SETTLING).await;
    rows.push(vec!["resident, idle, MiB".to_owned(), mib(memory_kib(server.process.pid(), "VmRSS"))]);

    let (mut walls, mut stages) = (Vec::new(), Vec::new());
    for _ in 0..JOBS {
        let begun = Instant::now();
        let id = server.submit(&world.repo_url).await["id"].clone();
        let job = server.wait(&id).await;
        walls.push(begun.elapsed());
        assert_eq!(job["status"], "succeeded", "{job:#}");
        stages.push(durations(&job));
    }
    rows.push(vec![format!("resident after {JOBS} jobs, MiB"), mib(memory_kib(server.process.pid(), "VmRSS"))]);
    rows.push(vec!["job, POST to succeeded (polled every 20 ms), ms".to_owned(), ms(median(walls))]);
    for (index, name) in STAGES.iter().enumerate() {
        let times = stages.iter().map(|durations| durations[index]).collect();
        rows.push(vec![format!("stage {name}, ms"), ms(median(times))]);
    }
    server.terminate().await;
    print_table(&format!("The service itself ({STARTS} starts, {JOBS} jobs, medians)"), &["what", "median"], &rows);
}

async fn start(world: &World) -> Duration {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let server = world.serve().await;
        ready(&server).await;
        times.push(begun.elapsed());
        server.terminate().await;
    }
    median(times)
}

/// Asks until the service is ready.
async fn ready(server: &Server) {
    let url = format!("{}/readyz", server.url);
    while !server.client.get(&url).send().await.is_ok_and(|response| response.status().is_success()) {}
}

fn durations(job: &Value) -> Vec<Duration> {
    let stages = job["stages"].as_array().expect("stages").iter();
    stages.map(|stage| Duration::from_millis(stage["durationMs"].as_u64().expect("a duration"))).collect()
}
