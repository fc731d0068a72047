//! Without traces, and with a collector that is no help: jobs go their way.

use std::time::Instant;

use serde_json::{Value, json};
use standin::claude::{Fault, Reply, RequestView};
use tokio::net::TcpListener;

use super::collector::Collector;
use super::{LONGEST_END, TRACEPARENT, post, seed, variables};
use crate::app::{Log, Server, World, diligent};

/// The threads of a process, by name.
fn threads(server: &Server) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.process.pid())).expect("the process runs");
    // A thread may end while it is looked at.
    tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok()).collect()
}

fn has_sender(server: &Server) -> bool {
    threads(server).iter().any(|name| name.starts_with("OpenTelemetry"))
}

async fn logged_server(world: &World, variables: &[(&str, String)]) -> (Server, Log) {
    let (process, log) = world.start_logged("serve", variables, "Listening").await;
    let url = format!("http://{}", log.line("Listening").await["address"].as_str().expect("an address"));
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    (Server { process, url, client }, log)
}

async fn job_succeeds(world: &World, server: &Server) -> Value {
    let id = post(server, "/analyze/", TRACEPARENT, &seed(&world.repo_url)).await["id"].clone();
    let job = server.wait(&id).await;
    assert_eq!(job["status"], "succeeded", "{job:#}");
    job
}

#[tokio::test]
async fn nothing_is_traced_unless_a_collector_is_named() {
    let collector = Collector::start().await;
    let disabled = [variables(collector.url()), vec![("OTEL_SDK_DISABLED", "true".to_owned())]].concat();
    for variables in [vec![], disabled] {
        let world = World::new(diligent).await;
        let server = world.serve_as("serve", &variables).await;
        assert!(!has_sender(&server), "nothing runs for traces: {:?}", threads(&server));
        let job = job_succeeds(&world, &server).await;
        assert_eq!(job.get("traceId"), None);
        server.terminate().await;
    }
    assert_eq!(collector.requests().len(), 0);
    // The check above can fail.
    let world = World::new(diligent).await;
    let server = world.serve_as("serve", &variables(collector.url())).await;
    assert!(has_sender(&server), "{:?}", threads(&server));
}

#[tokio::test]
async fn a_dead_collector_harms_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    for (address, reason) in
        [(silent.local_addr().expect("an address"), "it did not answer in time"), (closed, "it cannot be reached")]
    {
        let world = World::new(diligent).await;
        let timeout = ("OTEL_EXPORTER_OTLP_TIMEOUT", "200".to_owned());
        let variables = [variables(format!("http://{address}")), vec![timeout]].concat();
        let (server, log) = logged_server(&world, &variables).await;
        let job = job_succeeds(&world, &server).await;
        let warning = log.line("The collector takes no traces; jobs go on without them").await;
        assert_eq!((&warning["level"], &warning["reason"]), (&json!("WARN"), &json!(reason)));
        let ending = Instant::now();
        server.terminate().await;
        assert!(ending.elapsed() < LONGEST_END, "{:?}", ending.elapsed());
        let warnings = log.lines().into_iter().filter(|line| line["level"] == "WARN").count();
        assert_eq!(warnings, 1, "one is enough: {:#?}", log.lines());
        assert_eq!(job["traceId"].as_str().map(str::len), Some(32));
    }
}

#[tokio::test]
async fn a_warning_names_its_job_when_nothing_else_is_logged() {
    let overloaded = |request: &RequestView| {
        if request.number() == 0 { Reply::fault(Fault::status(529)) } else { diligent(request) }
    };
    let world = World::new(overloaded).await;
    let filter = ("TINYGEN_LOG", "warn,tinygen::serve=info".to_owned());
    let (server, log) = logged_server(&world, &[filter]).await;
    let job = job_succeeds(&world, &server).await;
    let warning = log.line("The model did not answer; asking again").await;
    assert_eq!((&warning["job.id"], &warning["stage.kind"]), (&job["id"], &json!("plan")), "{warning}");
    assert_eq!(warning["level"], "WARN");
    assert!(warning["error"].as_str().is_some_and(|error| error.contains("Overloaded")), "the cause too: {warning}");
    assert_eq!(warning.get("trace_id"), None, "traces are off");
    server.terminate().await;
}
