//! What streams of events cost: from the 202 to the first events of a job, and the memory of a thousand open streams.

#[expect(dead_code, reason = "other benches use the rest")]
mod rig;

use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::Value;
use standin::claude::{Reply, RequestView};
use tokio::time::sleep;

use crate::rig::app::{Server, World, diligent};
use crate::rig::database::Database;
use crate::rig::process::{memory_kib, mib};
use crate::rig::service::Service;
use crate::rig::{ms, percentile, print_table};

const JOBS: usize = 200;
const STREAMS: usize = 1_000;
/// The memory of a start is given back, and the pools have settled.
const SETTLING: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    rlimit::increase_nofile_limit(4 * STREAMS as u64).expect("a limit");
    let (mut waits, mut memory) = (Vec::new(), Vec::new());
    for database in Database::all().await {
        waits.push(first_events(&database).await);
        memory.push(open_streams(&database).await);
        database.remove().await;
    }
    print_table(
        &format!("From the 202 to an event on a stream opened then, ms (n={JOBS}, an idle worker)"),
        &["mode", "first event, p50", "p99", "first stage, p50", "p99"],
        &waits,
    );
    print_table(
        &format!("{STREAMS} open streams of one running job"),
        &["process", "resident before, MiB", "with them, MiB", "a stream, KiB", "its end with them, ms"],
        &memory,
    );
}

async fn first_events(database: &Database) -> Vec<String> {
    let world = World::new(diligent).await;
    let service = Service::start(&world, database).await;
    let (mut first, mut stage) = (Vec::new(), Vec::new());
    for _ in 0..JOBS {
        let job = service.api.submit(&world.repo_url).await;
        let begun = Instant::now();
        let mut stream = Stream::open(&service.api, &job["id"]).await;
        stream.read_until("job.queued").await;
        first.push(begun.elapsed());
        stream.read_until("stage.started").await;
        stage.push(begun.elapsed());
        // The worker is idle when the next one comes.
        stream.read_until("job.succeeded").await;
    }
    service.terminate().await;
    let figures = [first, stage].map(|mut times| {
        times.sort_unstable();
        [50, 99].map(|percent| ms(percentile(&times, percent)))
    });
    [vec![database.mode.to_owned()], figures.concat()].concat()
}

/// The model never answers, so the job runs on.
async fn open_streams(database: &Database) -> Vec<String> {
    let world = World::new(|_: &RequestView| Reply::hang()).await;
    let service = Service::start(&world, database).await;
    let job = service.api.submit(&world.repo_url).await;
    world.claude.arrived(1).await;
    sleep(SETTLING).await;
    let before_kib = memory_kib(service.api.process.pid(), "VmRSS");
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = Stream::open(&service.api, &job["id"]).await;
        stream.read_until("stage.started").await;
        streams.push(stream);
    }
    sleep(SETTLING).await;
    let open_kib = memory_kib(service.api.process.pid(), "VmRSS");
    let begun = Instant::now();
    let Service { api, worker } = service;
    api.terminate().await;
    let end = begun.elapsed();
    if let Some(worker) = worker {
        worker.terminate().await;
    }
    let grown_kib = open_kib.saturating_sub(before_kib);
    let of_a_stream = format!("{}.{}", grown_kib / 1_000, grown_kib % 1_000 / 100);
    vec![Service::name_of_api(database), mib(before_kib), mib(open_kib), of_a_stream, ms(end)]
}

/// An open stream of events.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(server: &Server, id: &Value) -> Self {
        let url = format!("{}/jobs/{}/events", server.url, id.as_str().expect("an id"));
        let request = server.client.get(url).header("accept", "text/event-stream");
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        Self { response, text: String::new() }
    }

    /// Reads until an event of this kind was received, which may have come with an earlier one.
    async fn read_until(&mut self, kind: &str) {
        let line = format!("event: {kind}\n");
        while !self.text.contains(&line) {
            let bytes = self.response.chunk().await.expect("readable").expect("more events");
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
}
