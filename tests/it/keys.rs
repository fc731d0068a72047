//! API keys as an operator meets them: made in the database by the program, asked for by its servers.

use std::process::Output;
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use standin::claude::{Reply, RequestView};

use crate::app::{Server, World, diligent};
use crate::cluster::Cluster;

/// Longest wait for what must come within seconds.
const PATIENCE: Duration = Duration::from_secs(30);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// The key that `keys create` printed.
fn key_of(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let key = text(&output.stdout);
    assert!(key.starts_with("tg_") && !key.contains(char::is_whitespace), "{key}");
    key
}

/// The part of a key that may be shown.
fn id_of(key: &str) -> &str {
    key["tg_".len()..].split('_').next().expect("an id")
}

impl Server {
    fn create(&self, repo_url: &str) -> RequestBuilder {
        let body = json!({"repoUrl": repo_url, "prompt": "It says Helo. Make it say Hello."});
        self.client.post(format!("{}/analyze/", self.url)).json(&body)
    }

    async fn job_with(&self, key: &str, id: &str) -> Value {
        let request = self.client.get(format!("{}/jobs/{id}", self.url)).bearer_auth(key);
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    /// Polls until the job has this status.
    async fn until(&self, key: &str, id: &str, status: &str) -> Value {
        let polls = async {
            loop {
                let job = self.job_with(key, id).await;
                if job["status"] == status {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, polls).await.unwrap_or_else(|_| panic!("never {status}"))
    }

    async fn status_with(&self, key: &str, path: &str) -> StatusCode {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(key).send().await.expect("an answer").status()
    }
}

/// Asks until the answer is 401.
async fn until_refused(ask: impl AsyncFn() -> StatusCode) {
    let asks = async {
        while ask().await != StatusCode::UNAUTHORIZED {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asks).await.expect("it is refused in the end");
}

#[tokio::test]
async fn a_public_address_needs_a_key_or_an_order() {
    let world = World::new(diligent).await;
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let run = world.program().arg("serve").env("TINYGEN_LISTEN", listen).output();
        let refused = tokio::time::timeout(PATIENCE, run).await.expect("it ends").expect("it starts");
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        for hint in [listen, "tinygen keys create", "TINYGEN_NO_AUTH=1", "127.0.0.1"] {
            assert!(said.contains(hint), "{hint}: {said}");
        }
    }
    let public = || [("TINYGEN_LISTEN", "0.0.0.0:0".to_owned())];
    world.serve_as("serve --no-auth", &public()).await.terminate().await;
    let told = [("TINYGEN_LISTEN", "0.0.0.0:0".to_owned()), ("TINYGEN_NO_AUTH", "1".to_owned())];
    let server = world.serve_as("serve", &told).await;
    key_of(&world.tinygen(&["keys", "create", "--name", "first"]).await);
    let url = server.url.replace("0.0.0.0", "127.0.0.1");
    let server = Server { url, ..server };
    until_refused(async || server.create(&world.repo_url).send().await.expect("an answer").status()).await;
    server.terminate().await;
    world.serve_as("serve", &public()).await.terminate().await;
}

#[tokio::test]
async fn a_key_is_made_used_and_revoked_while_the_server_runs() {
    let world = World::new(diligent).await;
    let server = world.serve().await;
    let open = server.submit(&world.repo_url).await;
    assert_eq!(server.wait(&open["id"]).await["status"], "succeeded");

    let created = world.tinygen(&["keys", "create", "--name", "laptop", "--owner", "me", "--expires-in", "90d"]).await;
    let key = key_of(&created);
    assert!(text(&created.stderr).contains("every request needs one"), "{}", text(&created.stderr));
    let accepted = server.create(&world.repo_url).bearer_auth(&key).send().await.expect("an answer");
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    assert_eq!(accepted.headers()["ratelimit-policy"], "\"create\";q=60;w=60");
    let accepted: Value = accepted.json().await.expect("JSON");
    until_refused(async || server.create(&world.repo_url).send().await.expect("an answer").status()).await;

    let path = format!("/jobs/{}", accepted["id"].as_str().expect("an id"));
    assert_eq!(server.status_with(&key, &path).await, StatusCode::OK);
    let of_nobody = format!("/jobs/{}", open["id"].as_str().expect("an id"));
    assert_eq!(server.status_with(&key, &of_nobody).await, StatusCode::NOT_FOUND);
    let other = key_of(&world.tinygen(&["keys", "create", "--name", "other", "--scope", "jobs:read"]).await);
    assert_eq!(server.status_with(&other, &path).await, StatusCode::NOT_FOUND);
    let forbidden = server.create(&world.repo_url).bearer_auth(&other).send().await.expect("an answer");
    assert_eq!(forbidden.status(), StatusCode::FORBIDDEN);

    let listed = text(&world.tinygen(&["keys", "list"]).await.stdout);
    let line = listed.lines().find(|line| line.starts_with(id_of(&key))).expect("its line");
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells[1..4], ["laptop", "me", "jobs:read,jobs:write,webhooks:write"], "{listed}");
    let secret = key.rsplit_once(id_of(&key)).expect("a secret").1;
    assert!(!listed.contains(secret));

    let revoked = world.tinygen(&["keys", "revoke", id_of(&key)]).await;
    assert!(revoked.status.success(), "{}", text(&revoked.stderr));
    until_refused(async || server.status_with(&key, &path).await).await;
    assert_eq!(server.status_with(&other, &path).await, StatusCode::NOT_FOUND, "the other one is still good");
    server.terminate().await;
}

#[tokio::test]
async fn an_expired_key_is_refused_and_does_not_open_the_server() {
    let world = World::new(diligent).await;
    let key = key_of(&world.tinygen(&["keys", "create", "--name", "short", "--expires-in", "1s"]).await);
    let server = world.serve().await;
    until_refused(async || server.status_with(&key, "/jobs/1").await).await;
    assert_eq!(server.create(&world.repo_url).send().await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    server.terminate().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_reason() {
    let world = World::new(diligent).await;
    for (arguments, code, reason) in [
        (["keys", "create", "--name", ""], 1, "a key's name must be"),
        (["keys", "create", "--name=x", "--owner=two words"], 1, "an owner must be"),
        (
            ["keys", "create", "--name=x", "--scope=all"],
            2,
            "jobs:read, jobs:write, webhooks:write, metrics:read, admin",
        ),
        (["keys", "create", "--name=x", "--expires-in=90"], 2, "such as 90d"),
        (["keys", "create", "--name=x", "--usd-per-day=much"], 2, "US dollars"),
        (["keys", "revoke", "0199f0c2-7c1e-7b3a-9d2e-8a1f0c3b2d4e", "-q"], 2, "unexpected argument"),
    ] {
        let output = world.tinygen(&arguments).await;
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(reason), "{said}");
    }
    let unknown = world.tinygen(&["keys", "revoke", "0199f0c2-7c1e-7b3a-9d2e-8a1f0c3b2d4e"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("tinygen keys list"));
    assert!(text(&world.tinygen(&["keys", "list"]).await.stderr).contains("tinygen keys create"));
}

#[tokio::test]
async fn no_key_is_logged_or_stored() {
    let world = World::new(diligent).await;
    let key = key_of(&world.tinygen(&["keys", "create", "--name", "x", "--scope=admin", "--scope=jobs:write"]).await);
    let log = world.folder.path().join("log");
    let stderr = std::fs::File::create(&log).expect("a file");
    let mut program = world.program();
    let mut process = program.arg("serve").env("TINYGEN_LOG", "trace").stderr(stderr).spawn().expect("it starts");
    let lines = || std::fs::read_to_string(&log).expect("readable");
    let listening = async {
        loop {
            let read = lines();
            let mut events = read.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(event) = events.find(|event| event["message"] == "Listening") {
                return event["address"].as_str().expect("an address").to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let address = tokio::time::timeout(PATIENCE, listening).await.expect("it listens");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let create = |body| client.post(format!("http://{address}/keys")).bearer_auth(&key).json(&body).send();
    let created: Value = create(json!({"name": "y"})).await.expect("an answer").json().await.expect("JSON");
    let second = created["key"].as_str().expect("a key");
    assert_eq!(create(json!({"name": ""})).await.expect("an answer").status(), 422);
    client.get(format!("http://{address}/jobs/1")).bearer_auth(second).send().await.expect("an answer");
    process.kill().await.expect("killed");

    let mut places = vec![("the log", lines().into_bytes())];
    for file in ["tinygen.db", "tinygen.db-wal"] {
        places.push((file, std::fs::read(world.folder.path().join("data").join(file)).expect("readable")));
    }
    for key in [&*key, second] {
        let secret = &key[key.len() - 43..];
        for (place, bytes) in &places {
            assert!(!bytes.windows(43).any(|window| window == secret.as_bytes()), "{place} holds a key");
        }
    }
    assert!(lines().contains(&format!("Made key {}", id_of(second))), "what was searched is the log");
}

#[tokio::test]
async fn two_servers_together_keep_to_a_quota() {
    let Some(cluster) = Cluster::start(diligent).await else { return };
    cluster.migrate().await;
    let created = cluster.output("keys create --name ci --owner ci --jobs-per-day 5 --creations-per-minute 0").await;
    let key = key_of(&created);
    let servers = [cluster.api().await, cluster.api().await];
    let repo_url = &cluster.world.repo_url;
    let requests = (0..30).map(|number| servers[number % 2].create(repo_url).bearer_auth(&key).send());
    let mut accepted = 0;
    for answer in send_all(requests).await {
        match answer.status() {
            StatusCode::ACCEPTED => accepted += 1,
            StatusCode::TOO_MANY_REQUESTS => {
                assert!(answer.headers().contains_key("retry-after"));
                let problem: Value = answer.json().await.expect("JSON");
                assert_eq!(problem["violated-policies"], json!(["jobs-per-day"]));
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(accepted, 5);
    let revoked = cluster.output(&format!("keys revoke {}", id_of(&key))).await;
    assert!(revoked.status.success());
    for server in servers {
        until_refused(async || server.status_with(&key, "/jobs/1").await).await;
        server.terminate().await;
    }
    cluster.remove().await;
}

#[tokio::test]
async fn an_owner_runs_one_job_at_a_time_while_others_go_on() {
    const ENDLESS: &str = "Take your time.";
    let script =
        |request: &RequestView| if request.first_text().contains(ENDLESS) { Reply::hang() } else { diligent(request) };
    let world = World::new(script).await;
    let bounded = world.tinygen(&["keys", "create", "--name", "a", "--owner", "a", "--running-jobs", "1"]).await;
    let other = world.tinygen(&["keys", "create", "--name", "b", "--owner", "b"]).await;
    let (bounded, other) = (key_of(&bounded), key_of(&other));
    // Of its four slots, one is to be used.
    let server = world.serve().await;
    let submit = async |key: &str, prompt: &str| -> String {
        let request = server.create(&world.repo_url).bearer_auth(key);
        let request = request.json(&json!({"repoUrl": world.repo_url, "prompt": prompt}));
        let job: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        job["id"].as_str().expect("an id").to_owned()
    };
    let endless = submit(&bounded, ENDLESS).await;
    let waiting = [submit(&bounded, "Say Hello.").await, submit(&bounded, "Say it well.").await];
    let others = submit(&other, "Say Hello.").await;
    server.until(&other, &others, "succeeded").await;
    server.until(&bounded, &endless, "running").await;
    for id in &waiting {
        assert_eq!(server.job_with(&bounded, id).await["status"], "queued");
    }
    let cancel = server.client.post(format!("{}/jobs/{endless}/cancel", server.url)).bearer_auth(&bounded);
    assert!(cancel.send().await.expect("an answer").status().is_success());
    let mut jobs = vec![server.until(&bounded, &endless, "canceled").await];
    for id in &waiting {
        jobs.push(server.until(&bounded, id, "succeeded").await);
    }
    let time = |job: &Value, name: &str| job[name].as_str().expect("a time").to_owned();
    for pair in jobs.windows(2) {
        let (end, start) = (time(&pair[0], "finishedAt"), time(&pair[1], "startedAt"));
        assert!(end <= start, "one ran until {end}, the next one from {start}");
    }
    server.terminate().await;
}

/// Sends all requests at once.
async fn send_all(
    requests: impl Iterator<Item = impl Future<Output = reqwest::Result<reqwest::Response>> + Send + 'static>,
) -> Vec<reqwest::Response> {
    let running: tokio::task::JoinSet<_> = requests.collect();
    running.join_all().await.into_iter().map(|answer| answer.expect("an answer")).collect()
}
