//! What a scraper and an autoscaler see of real processes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::app::{Server, World, diligent};
use crate::cluster::Cluster;

/// Longest wait for what takes a lease at most.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a process has counted.
struct Scrape(String);

impl Scrape {
    async fn of(url: &str) -> Self {
        let answer = reqwest::get(format!("{url}/metrics")).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        Self(answer.text().await.expect("a text"))
    }

    /// The value of a series, if it is there.
    fn find(&self, series: &str) -> Option<f64> {
        let value = self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(value.parse().expect("a number"))
    }

    fn value(&self, series: &str) -> f64 {
        self.find(series).unwrap_or_else(|| panic!("no {series} in {}", self.0))
    }

    /// The sum over all series of a metric.
    fn sum(&self, metric: &str) -> f64 {
        let series = self.0.lines().filter_map(|line| line.strip_prefix(metric)?.strip_prefix('{'));
        series.map(|rest| rest.rsplit_once(' ').expect("a value").1.parse::<f64>().expect("a number")).sum()
    }

    /// That one job has succeeded here, in three calls to the model, with the usage and the cost that the API shows.
    fn shows_the_work_on(&self, job: &Value) {
        assert_is(self.value("tinygen_jobs_finished_total{outcome=\"succeeded\",code=\"changed\"}"), 1.0);
        assert_is(self.value("tinygen_queue_wait_seconds_count"), 1.0);
        assert_is(self.value("tinygen_job_duration_seconds_count{outcome=\"succeeded\"}"), 1.0);
        assert_is(self.sum("tinygen_llm_requests_total"), 3.0);
        let model = "model=\"claude-opus-5-5\"";
        assert_is(self.value(&format!("tinygen_llm_requests_total{{{model},outcome=\"answered\"}}")), 3.0);
        for (kind, field) in [
            ("input", "inputTokens"),
            ("cache_creation", "cacheCreationTokens"),
            ("cache_read", "cacheReadTokens"),
            ("output", "outputTokens"),
        ] {
            let tokens = job["usage"][field].as_f64().unwrap_or_else(|| panic!("{field} in {job:#}"));
            assert_is(self.value(&format!("tinygen_llm_tokens_total{{{model},kind=\"{kind}\"}}")), tokens);
        }
        let cost = job["usage"]["costUsd"].as_f64().unwrap_or_else(|| panic!("a cost in {job:#}"));
        assert!(cost > 0.0);
        assert_is(self.value(&format!("tinygen_llm_cost_usd_total{{{model}}}")), cost);
        for stage in ["snapshot", "sheet", "plan", "edit", "review"] {
            let series = format!("tinygen_stage_duration_seconds_count{{stage=\"{stage}\",outcome=\"succeeded\"}}");
            assert_is(self.value(&series), 1.0);
        }
        assert_is(self.value("tinygen_worker_slots{state=\"free\"}"), 4.0);
        assert_is(self.value("tinygen_worker_slots{state=\"busy\"}"), 0.0);
        assert!(self.value("tinygen_worker_last_claim_timestamp_seconds") > 1.7e9);
    }
}

fn assert_is(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
}

async fn stats(api: &Server) -> Value {
    let answer = api.client.get(format!("{}/queue/stats", api.url)).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("JSON")
}

/// Asks until the queue has so many workers and slots. Gives all of it.
async fn until_workers(api: &Server, workers: u64, slots: u64) -> Value {
    let arrival = async {
        loop {
            let stats = stats(api).await;
            if stats["workers"] == workers && stats["slots"] == slots {
                return stats;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, arrival).await.expect("the workers are counted")
}

#[tokio::test]
async fn workers_are_counted_and_tell_of_their_work() {
    let Some(cluster) = Cluster::start(diligent).await else { return };
    cluster.migrate().await;
    let api = cluster.api().await;
    let listen = free_address().await;
    let nobody = json!({"ready": 0, "delayed": 0, "running": 0, "dead": 0, "oldestReadySeconds": 0, "workers": 0,
                        "slots": 0, "desiredWorkers": 0});
    assert_eq!(stats(&api).await, nobody);
    let (first, second) = (cluster.worker_at(&listen).await, cluster.worker().await);
    until_workers(&api, 2, 8).await;

    // What is counted is the worker's own: only one of them must be there.
    let stopped = Instant::now();
    second.terminate().await;
    until_workers(&api, 1, 4).await;
    assert!(stopped.elapsed() < Duration::from_secs(15), "who ends says so and is not waited for");

    let id = api.submit(&cluster.world.repo_url).await["id"].clone();
    let job = api.wait(&id).await;
    assert_eq!(job["status"], "succeeded", "{job:#}");
    let of_worker = settled(&format!("http://{listen}")).await;
    of_worker.shows_the_work_on(&job);
    assert_eq!(of_worker.find("tinygen_queue_workers"), None, "a worker tells of itself alone");
    let of_api = Scrape::of(&api.url).await;
    assert_is(of_api.value("tinygen_jobs_created_total"), 1.0);
    assert_is(of_api.value("tinygen_queue_slots"), 4.0);
    assert_is(of_api.sum("tinygen_jobs_finished_total"), 0.0);

    first.kill().await;
    assert_eq!(until_workers(&api, 0, 0).await["desiredWorkers"], 0);
    api.submit(&cluster.world.repo_url).await;
    let wanted = async {
        while stats(&api).await["desiredWorkers"] != 1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wanted).await.expect("a worker is wanted though none lives");
    api.terminate().await;
    cluster.remove().await;
}

#[tokio::test]
async fn a_process_that_is_both_tells_of_both() {
    let world = World::new(diligent).await;
    let server = world.serve().await;
    until_workers(&server, 1, 4).await;
    let id = server.submit(&world.repo_url).await["id"].clone();
    let job = server.wait(&id).await;
    let scrape = settled(&server.url).await;
    scrape.shows_the_work_on(&job);
    assert_is(scrape.value("tinygen_jobs_created_total"), 1.0);
    assert_is(scrape.value("tinygen_queue_workers"), 1.0);
    server.terminate().await;
}

/// A scrape after the slot of the job is free again: that is a moment after the job has ended.
async fn settled(url: &str) -> Scrape {
    let scrapes = async {
        loop {
            let scrape = Scrape::of(url).await;
            if scrape.find("tinygen_worker_slots{state=\"busy\"}") == Some(0.0) {
                return scrape;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, scrapes).await.expect("the slot is free")
}

/// When this fails, put what [`exposition::table`] gives in place of the table in the file.
#[test]
fn the_documented_metrics_are_those_of_the_code() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/API.md");
    let documentation = std::fs::read_to_string(file).expect("docs/API.md");
    let table = exposition::table();
    assert!(documentation.contains(&table), "docs/API.md must have this table:\n\n{table}");
}

/// One that nobody listens on now.
async fn free_address() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").to_string()
}
