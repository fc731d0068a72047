//! A key's life: made, used, worth nothing.

use std::time::Duration;

use api::Pace;
use domain::{KeyId, KeyScope};
use jobs::KeyDraft;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::server::{Answer, Server, draft};

/// Longest wait for what must come within a second or two.
const PATIENCE: Duration = Duration::from_secs(20);

fn seed() -> Value {
    json!({"repoUrl": "https://github.com/jayhack/llm.sh", "prompt": "Say hello"})
}

/// Asks until the answer has this status.
async fn until_status(status: u16, ask: impl AsyncFn() -> Answer) -> Answer {
    let answers = async {
        loop {
            let answer = ask().await;
            if answer.status == status {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, answers).await.unwrap_or_else(|_| panic!("never {status}"))
}

#[tokio::test]
async fn the_server_is_open_until_the_first_key_is_made() {
    let server = Server::start().await;
    let accepted = server.create(&seed()).await;
    assert_eq!((accepted.status, accepted.header("ratelimit")), (202, None));
    let body = json!({"name": "first", "owner": "me", "scopes": ["admin", "jobs:write", "jobs:read"],
                      "expiresInSeconds": 86_400, "limits": {"runningJobs": 2, "jobsPerDay": 5, "usdPerDay": 0.1}});
    let made = Answer::of(server.request(Method::POST, "/keys").json(&body)).await;
    assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")));
    let made = made.json();
    assert_eq!(made["scopes"], json!(["jobs:read", "jobs:write", "admin"]));
    assert_eq!(made["limits"], json!({"runningJobs": 2, "jobsPerDay": 5, "usdPerDay": 0.1}));
    let key = made["key"].as_str().expect("a key");
    assert!(key.starts_with(&format!("tg_{}_", made["id"].as_str().expect("an id"))), "{key}");

    assert_eq!(server.create(&seed()).await.status, 401, "closed from that moment on");
    let accepted = server.post_with(key, "/analyze/", &seed()).await;
    assert_eq!(accepted.status, 202);
    assert_eq!(server.get_with(key, accepted.header("location").expect("an address")).await.status, 200);
}

#[tokio::test]
async fn a_key_that_another_process_makes_closes_the_server_for_good() {
    let server = Server::start().await;
    assert_eq!(server.create(&seed()).await.status, 202);
    let (key, text) = server.key(draft("a", &KeyScope::DEFAULT)).await;
    assert_eq!(server.post_with(&text, "/analyze/", &seed()).await.status, 202, "a new key works at once");
    until_status(401, async || server.create(&seed()).await).await;
    server.jobs.revoke_key(key.id).await.expect("revoked");
    until_status(401, async || server.post_with(&text, "/analyze/", &seed()).await).await;
    assert_eq!(server.create(&seed()).await.status, 401, "a server without good keys is not open");
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once() {
    let server = Server::start().await;
    let (_, admin) = server.key(draft("a", &[KeyScope::Admin])).await;
    let (key, text) = server.key(draft("b", &KeyScope::DEFAULT)).await;
    assert_eq!(server.post_with(&text, "/analyze/", &seed()).await.status, 202);
    for _ in 0..2 {
        let path = format!("/keys/{}", key.id);
        let revoked = Answer::of(server.request(Method::DELETE, &path).bearer_auth(&admin)).await;
        assert_eq!((revoked.status, revoked.body.len()), (204, 0));
    }
    let answer = server.post_with(&text, "/analyze/", &seed()).await;
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer error=\"invalid_token\"")));
    assert!(answer.problem()["detail"].as_str().expect("text").starts_with("the API key was revoked at 20"));
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams() {
    let server = Server::start_at(Pace { ping: Duration::from_millis(50), ..Pace::default() }).await;
    let (key, text) = server.key(draft("b", &KeyScope::DEFAULT)).await;
    let created = server.post_with(&text, "/analyze/", &seed()).await.json();
    let path = format!("/jobs/{}/events", created["id"].as_str().expect("an id"));
    let request = server.request(Method::GET, &path).bearer_auth(&text).header("accept", "text/event-stream");
    let mut stream = request.send().await.expect("an answer");
    assert_eq!(stream.status(), 200);
    let until_ping = async { while !stream.chunk().await.expect("a piece").expect("no end").starts_with(b": ping") {} };
    timeout(PATIENCE, until_ping).await.expect("it goes on");
    server.jobs.revoke_key(key.id).await.expect("revoked");
    let until_end = async { while stream.chunk().await.expect("a piece").is_some() {} };
    timeout(PATIENCE, until_end).await.expect("it ends, though the job has not");
}

#[tokio::test]
async fn an_expired_key_is_refused_with_the_reason() {
    let server = Server::start().await;
    let lifetime = Some(Duration::from_secs(1));
    let (_, text) = server.key(KeyDraft { lifetime, ..draft("a", &KeyScope::DEFAULT) }).await;
    let answer = until_status(401, async || server.get_with(&text, "/jobs/1").await).await;
    assert!(answer.problem()["detail"].as_str().expect("text").starts_with("the API key expired at 20"));
    assert_eq!(server.get("/jobs/1").await.status, 401, "the server is not open again");
}

#[tokio::test]
async fn what_is_no_key_is_refused_without_being_repeated() {
    let server = Server::start().await;
    let text = server.key_of("a").await;
    let unknown = text.replace(&text[3..39], &KeyId::new().to_string());
    for wrong in ["sesame", &text[..text.len() - 1], &unknown] {
        let answer = server.get_with(wrong, "/jobs/1").await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert_eq!(answer.problem()["detail"], "the API key is not one of this server's");
        assert!(!answer.problem().to_string().contains(wrong));
    }
    let basic = Answer::of(server.request(Method::GET, "/jobs/1").basic_auth("user", Some(&text))).await;
    assert_eq!((basic.status, basic.header("www-authenticate")), (401, Some("Bearer")));
}

#[tokio::test]
async fn an_open_server_does_not_take_a_wrong_key() {
    let server = Server::start().await;
    assert_eq!(server.get_with("tg_made_up", "/jobs/1").await.status, 401);
    assert_eq!(server.get("/jobs/1").await.status, 404);
}

#[tokio::test]
async fn keys_are_listed_without_their_secrets() {
    let server = Server::start().await;
    let (_, admin) = server.key(draft("a", &[KeyScope::Admin])).await;
    let (key, text) = server.key(draft("b", &KeyScope::DEFAULT)).await;
    server.jobs.revoke_key(key.id).await.expect("revoked");
    let list = server.get_with(&admin, "/keys").await;
    assert_eq!(list.status, 200);
    for secret in [&admin, &text] {
        let secret = &secret[secret.len() - 43..];
        assert!(!String::from_utf8_lossy(&list.body).contains(secret));
    }
    let list = list.json()["data"].take();
    assert_eq!((&list[0]["owner"], &list[1]["id"]), (&json!("a"), &json!(key.id.to_string())));
    assert!(list[0]["lastUsedAt"].is_string() && list[1]["lastUsedAt"].is_null());
    assert!(list[0]["revokedAt"].is_null() && list[1]["revokedAt"].is_string());
}

#[tokio::test]
async fn a_key_that_cannot_be_is_refused_with_every_reason() {
    let server = Server::start().await;
    let wrong = json!({"owner": "two words", "scopes": ["jobs:read", "jobs:all"], "expiresInSeconds": 0,
                       "limits": {"usdPerDay": -1}});
    let answer = Answer::of(server.request(Method::POST, "/keys").json(&wrong)).await;
    assert_eq!(answer.status, 422);
    let problem = answer.problem();
    let errors = problem["errors"].as_array().expect("errors");
    let pointers: Vec<&str> = errors.iter().map(|error| error["pointer"].as_str().expect("text")).collect();
    assert_eq!(pointers, ["/scopes/1", "/limits/usdPerDay", "/name", "/owner", "/expiresInSeconds"]);
    for (body, pointer) in [
        (json!({"name": "x", "scopes": []}), "/scopes"),
        (json!({"name": "x", "scope": "admin"}), "/scope"),
        (json!({"name": "x", "limits": {"jobsPerHour": 1}}), "/limits/jobsPerHour"),
    ] {
        let answer = Answer::of(server.request(Method::POST, "/keys").json(&body)).await;
        assert_eq!((answer.status, &answer.problem()["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    assert!(server.jobs.keys().await.expect("keys").is_empty());
    for id in [KeyId::new().to_string(), "1".to_owned()] {
        let answer = Answer::of(server.request(Method::DELETE, &format!("/keys/{id}"))).await;
        assert_eq!((answer.status, &answer.problem()["detail"]), (404, &json!("there is no such key")));
    }
}
