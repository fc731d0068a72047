//! Webhooks through the real program: from `POST /analyze/` to a signed message, on one process and on several.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use standin::webhook_receiver::{Reaction, Received, WebhookReceiver};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::app::{Server, World, diligent};
use crate::cluster::Cluster;

/// Longest wait for a message that must come.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where `make check-webhooks` has installed the reference libraries.
const VERIFIERS: &str = "TINYGEN_TEST_WEBHOOK_VERIFIERS";

async fn post(server: &Server, path: &str, body: &Value) -> Value {
    let request = server.client.post(format!("{}{path}", server.url)).json(body);
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.expect("JSON")
}

async fn get(server: &Server, path: &str) -> Value {
    let request = server.client.get(format!("{}{path}", server.url));
    request.send().await.expect("an answer").json().await.expect("JSON")
}

async fn submit_with_webhook(server: &Server, repo_url: &str, url: &str) -> Value {
    let webhook = json!({"url": url, "events": ["job.started", "stage.succeeded", "job.succeeded"]});
    let prompt = "It says Helo. Make it say Hello.";
    let job = json!({"repoUrl": repo_url, "prompt": prompt, "webhook": webhook, "metadata": {"ticket": "1017"}});
    post(server, "/analyze/", &job).await
}

async fn arrived(receiver: &WebhookReceiver, count: usize) -> Vec<Received> {
    timeout(PATIENCE, receiver.arrived(count)).await.expect("the messages arrive")
}

fn verify(message: &Received, secret: &str) {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, message.header(name).parse().expect("a value"));
    }
    let webhook = standardwebhooks::Webhook::new(secret).expect("a secret");
    webhook.verify(&message.body, &headers).expect("well signed");
}

fn secret(body: &Value) -> &str {
    body["secret"].as_str().expect("a secret")
}

#[tokio::test]
async fn a_job_tells_its_own_webhook_and_a_registered_one() {
    let world = World::new(diligent).await;
    let receiver = WebhookReceiver::obliging().await.expect("a receiver");
    let server = world.serve().await;
    let registered = post(&server, "/webhooks", &json!({"url": receiver.url("/registered")})).await;
    let default = get(&server, "/webhooks/default/secret").await;
    let accepted = submit_with_webhook(&server, &world.repo_url, &receiver.url("/own")).await;
    let job = server.wait(&accepted["id"]).await;
    assert_eq!(job["status"], "succeeded", "{job:#}");

    let messages = arrived(&receiver, 8).await;
    let (own, others): (Vec<Received>, Vec<Received>) = messages.into_iter().partition(|it| it.target == "/own");
    let kinds: Vec<Value> = own.iter().map(|message| message.json().expect("JSON")["type"].clone()).collect();
    let stages = vec![json!("stage.succeeded"); 5];
    assert_eq!(kinds, [vec![json!("job.started")], stages, vec![json!("job.succeeded")]].concat());
    for message in &own {
        verify(message, secret(&default));
        assert!(message.body.len() <= 20_000);
    }
    assert_eq!(others.len(), 1);
    verify(&others[0], secret(&registered));
    let data = &others[0].json().expect("JSON")["data"];
    for field in
        ["id", "status", "version", "attempt", "repoUrl", "metadata", "usage", "createdAt", "startedAt", "finishedAt"]
    {
        assert_eq!(data[field], job[field], "{field}");
    }
    assert_eq!(data["metadata"]["ticket"], "1017");
    assert_eq!(data["result"]["patchSha256"], job["result"]["patchSha256"]);
    assert_eq!(others[0].header("webhook-id"), own[6].header("webhook-id"), "the same event");

    let path = format!("/jobs/{}/deliveries", job["id"].as_str().expect("an id"));
    let listed = get(&server, &path).await;
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(8));
    server.terminate().await;
}

#[tokio::test]
async fn a_message_under_way_when_the_program_is_killed_is_sent_after_its_restart() {
    let world = World::new(diligent).await;
    let receiver = WebhookReceiver::start(|message| match message.number {
        0 => Reaction::Hang,
        _ => Reaction::Status(204),
    });
    let receiver = receiver.await.expect("a receiver");
    let server = world.serve().await;
    let registered = post(&server, "/webhooks", &json!({"url": receiver.url("/")})).await;
    let accepted = server.submit(&world.repo_url).await;
    server.wait(&accepted["id"]).await;
    arrived(&receiver, 1).await;
    server.kill().await;

    let server = world.serve().await;
    let messages = arrived(&receiver, 2).await;
    assert_eq!(messages[0].header("webhook-id"), messages[1].header("webhook-id"));
    verify(&messages[1], secret(&registered));
    server.terminate().await;
}

#[tokio::test]
async fn an_api_calls_the_couriers_of_workers() {
    let Some(cluster) = Cluster::start(diligent).await else { return };
    cluster.migrate().await;
    let receiver = WebhookReceiver::obliging().await.expect("a receiver");
    let api = cluster.api().await;
    let registered = post(&api, "/webhooks", &json!({"url": receiver.url("/")})).await;
    let path = format!("/webhooks/{}/test", registered["id"].as_str().expect("an id"));
    post(&api, &path, &json!({})).await;
    rings(&cluster, "1").await;
    let worker = cluster.worker().await;
    verify(&arrived(&receiver, 1).await[0], secret(&registered));
    rings(&cluster, "0").await;
    worker.terminate().await;
    api.terminate().await;
    cluster.remove().await;
}

/// Waits until so many rings wait for couriers.
async fn rings(cluster: &Cluster, count: &str) {
    let there = async {
        while cluster.redis.command(&["LLEN", "tinygen:couriers"]).await != count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, there).await.unwrap_or_else(|_| panic!("there are not {count} rings"));
}

#[tokio::test]
async fn any_worker_delivers_what_a_killed_one_did_not() {
    let Some(cluster) = Cluster::start(diligent).await else { return };
    cluster.migrate().await;
    let receiver = WebhookReceiver::start(|message| match message.number {
        0 => Reaction::Hang,
        _ => Reaction::Status(204),
    });
    let receiver = receiver.await.expect("a receiver");
    let (api, first) = (cluster.api().await, cluster.worker().await);
    let accepted = submit_with_webhook(&api, &cluster.world.repo_url, &receiver.url("/")).await;
    arrived(&receiver, 1).await;
    first.kill().await;
    let second = cluster.worker().await;
    let default = get(&api, "/webhooks/default/secret").await;
    assert_eq!(api.wait(&accepted["id"]).await["status"], "succeeded");

    // The first one twice: its lease had to run out.
    let messages = timeout(PATIENCE * 2, receiver.arrived(8)).await.expect("the messages arrive");
    let mut versions: Vec<u64> = Vec::new();
    for message in &messages {
        verify(message, secret(&default));
        versions.push(message.json().expect("JSON")["data"]["version"].as_u64().expect("a number"));
    }
    assert_eq!(versions[0], versions[1]);
    assert!(versions.is_sorted(), "{versions:?}");
    second.terminate().await;
    api.terminate().await;
    cluster.remove().await;
}

#[tokio::test]
async fn the_published_libraries_of_other_languages_accept_our_signatures() {
    let Ok(folder) = std::env::var(VERIFIERS) else {
        eprintln!("not run: {VERIFIERS} is not set (make check-webhooks)");
        return;
    };
    let world = World::new(diligent).await;
    let receiver = WebhookReceiver::obliging().await.expect("a receiver");
    let server = world.serve().await;
    let old = post(&server, "/webhooks", &json!({"url": receiver.url("/")})).await;
    let path = format!("/webhooks/{}", old["id"].as_str().expect("an id"));
    let new = post(&server, &format!("{path}/rotate-secret"), &json!({})).await;
    let accepted = server.submit(&world.repo_url).await;
    server.wait(&accepted["id"]).await;
    post(&server, &format!("{path}/test"), &json!({})).await;
    let messages = arrived(&receiver, 2).await;
    server.terminate().await;
    let messages: Vec<Value> =
        messages.iter().map(|it| json!({"headers": it.headers, "body": String::from_utf8_lossy(&it.body)})).collect();
    let secrets = [secret(&old), secret(&new)];
    let cases = json!({"messages": messages, "secrets": secrets}).to_string();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/webhooks");
    for (program, script) in [("python", "verify.py"), ("node", "verify.mjs")] {
        let program = if program == "python" { format!("{folder}/bin/python") } else { program.to_owned() };
        let mut command = Command::new(program);
        command.arg(tests.join(script)).env("NODE_PATH", format!("{folder}/node_modules"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        child.stdin.take().expect("stdin").write_all(cases.as_bytes()).await.expect("written");
        let output = child.wait_with_output().await.expect("it ends");
        assert!(output.status.success(), "{script}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "4 accepted, 4 refused", "{script}");
    }
}
