//! `GET /metrics` and `GET /queue/stats`.

use std::collections::BTreeMap;

use domain::{Failure, FailureCode, KeyScope, Outcome};
use jobs::WorkerId;
use serde_json::json;

use crate::server::{Answer, Server, draft};
use crate::work;

/// The samples of an answer by what stands before their value, after a look at its form.
fn samples(answer: &Answer) -> BTreeMap<String, f64> {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = std::str::from_utf8(&answer.body).expect("UTF-8");
    assert!(text.ends_with('\n'), "{text}");
    let (mut samples, mut family, mut families) = (BTreeMap::new(), String::new(), Vec::new());
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            help.split_once(' ').expect("a name and what it means").0.clone_into(&mut family);
            assert!(!families.contains(&family), "{family} is there twice");
            families.push(family.clone());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and a kind");
            assert!(name == family && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            let name = series.split('{').next().expect("a name");
            let ends = ["", "_bucket", "_sum", "_count"];
            assert!(ends.iter().any(|end| name == format!("{family}{end}")), "{line} stands below {family}");
            let is_labelled = series == name || series.ends_with("\"}");
            assert!(is_labelled, "{line}");
            assert_eq!(samples.insert(series.to_owned(), value.parse().expect("a number")), None, "{line}");
        }
    }
    assert!(families.len() > 20, "{families:?}");
    samples
}

#[tokio::test]
async fn the_queue_is_all_numbers_at_any_time() {
    let server = Server::start().await;
    let stats = server.get("/queue/stats").await;
    let empty = json!({"ready": 0, "delayed": 0, "running": 0, "dead": 0, "oldestReadySeconds": 0, "workers": 0,
                       "slots": 0, "desiredWorkers": 0});
    assert_eq!((stats.status, stats.json()), (200, empty));

    for _ in 0..3 {
        work::running(&server.jobs).await;
    }
    for _ in 0..4 {
        work::submit(&server.jobs).await;
    }
    server.jobs.note_worker(&WorkerId::new("a"), 3).await.expect("noted");
    let full = json!({"ready": 4, "delayed": 0, "running": 3, "dead": 0, "oldestReadySeconds": 0, "workers": 1,
                      "slots": 3, "desiredWorkers": 3});
    let now = loop {
        let mut now = server.get("/queue/stats").await.json();
        if now["ready"] == 4 {
            // The others that a busy machine keeps waiting may have waited for a second.
            now["oldestReadySeconds"] = json!(0);
            break now;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(now, full);
}

#[tokio::test]
async fn counters_move_by_what_was_done() {
    let server = Server::start_counting().await;
    let jobs = &server.jobs;
    let before = samples(&server.get("/metrics").await);

    let body = json!({"repoUrl": "https://github.com/jayhack/llm.sh", "prompt": "Say hello"});
    let job = server.create(&body).await.json()["id"].as_str().expect("an id").to_owned();
    let lease = work::claim(jobs).await.lease;
    jobs.succeed(&lease, &work::result(Outcome::Changed, b"diff")).await.expect("succeed");
    let failing = work::running(jobs).await.lease;
    jobs.fail(&failing, &Failure::new(FailureCode::RepoNotFound, "404")).await.expect("fail");
    jobs.succeed(&failing, &work::result(Outcome::Changed, b"")).await.expect_err("it is over");
    let waiting = work::submit(jobs).await;
    jobs.cancel(waiting).await.expect("cancel");
    jobs.purge(None, work::submit(jobs).await).await.expect("purge");
    server.get(&format!("/jobs/{job}")).await;
    server.get("/jobs/not-an-id?x=secret").await;
    server.get("/made-up/by-a-client").await;

    let after = samples(&server.get("/metrics").await);
    let grew = |series: &str| {
        let was = before.get(series).copied().unwrap_or(0.0);
        after.get(series).unwrap_or_else(|| panic!("no {series} in {after:#?}")) - was
    };
    for (series, by) in [
        ("tinygen_jobs_created_total", 4.0),
        ("tinygen_jobs_finished_total{outcome=\"succeeded\",code=\"changed\"}", 1.0),
        ("tinygen_jobs_finished_total{outcome=\"failed\",code=\"repo_not_found\"}", 1.0),
        ("tinygen_jobs_finished_total{outcome=\"canceled\",code=\"\"}", 2.0),
        ("tinygen_job_duration_seconds_count{outcome=\"canceled\"}", 2.0),
        ("tinygen_queue_wait_seconds_count", 2.0),
        ("tinygen_fenced_writes_total", 1.0),
        ("tinygen_job_rescues_total", 0.0),
        ("tinygen_http_requests_total{method=\"POST\",route=\"/analyze/\",status=\"202\"}", 1.0),
        ("tinygen_http_requests_total{method=\"GET\",route=\"/jobs/{id}\",status=\"200\"}", 1.0),
        ("tinygen_http_requests_total{method=\"GET\",route=\"/jobs/{id}\",status=\"404\"}", 1.0),
        ("tinygen_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"}", 1.0),
        ("tinygen_http_request_duration_seconds_count{method=\"GET\",route=\"/jobs/{id}\"}", 2.0),
    ] {
        // Other tests may count in the same process; exact figures are those of real processes in `tests/it/metrics.rs`.
        assert!(grew(series) >= by, "{series} grew by {}", grew(series));
    }
    let names: String = after.into_keys().collect();
    for leak in [&job, "made-up", "not-an-id", "secret"] {
        assert!(!names.contains(leak), "{leak} makes a series");
    }
}

#[tokio::test]
async fn a_scrape_finds_the_queue_and_the_streams() {
    let server = Server::start_counting().await;
    work::running(&server.jobs).await;
    let id = work::submit(&server.jobs).await;
    server.jobs.note_worker(&WorkerId::new("a"), 2).await.expect("noted");
    let stream = server.request(reqwest::Method::GET, &format!("/jobs/{id}/events")).send().await.expect("a stream");
    let found = samples(&server.get("/metrics").await);
    let value = |series: &str| *found.get(series).unwrap_or_else(|| panic!("no {series} in {found:#?}"));
    let queue = ["ready", "delayed", "running", "dead"]
        .map(|state| value(&format!("tinygen_queue_jobs{{state=\"{state}\",priority=\"normal\"}}")));
    assert_eq!(queue.map(|jobs| jobs.to_string()), ["1", "0", "1", "0"]);
    let others = ["queue_workers", "queue_slots", "queue_desired_workers", "webhook_pending", "sse_clients"];
    let others = others.map(|name| value(&format!("tinygen_{name}")).to_string());
    assert_eq!(others, ["1", "2", "1", "0", "1"]);
    drop(stream);
}

#[tokio::test]
async fn a_key_that_was_not_made_for_it_sees_no_figures() {
    let server = Server::start_counting().await;
    let (_, scraper) = server.key(draft("ops", &[KeyScope::MetricsRead])).await;
    let (_, usual) = server.key(draft("a", &KeyScope::DEFAULT)).await;
    for path in ["/metrics", "/queue/stats"] {
        assert_eq!(server.get_with(&scraper, path).await.status, 200, "{path}");
        assert_eq!(server.get_with(&usual, path).await.status, 403, "{path}: the figures are everybody's");
        assert_eq!(server.get(path).await.status, 401, "{path}");
    }
    assert_eq!(server.get_with(&scraper, "/jobs").await.status, 403, "and a scraper sees nothing else");
}
