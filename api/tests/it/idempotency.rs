//! `Idempotency-Key`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server};
use crate::work;

fn body() -> Value {
    json!({"repoUrl": "https://github.com/a/b", "prompt": "x", "metadata": {"team": "blue"}})
}

async fn create(server: &Server, key: &str, body: &Value) -> Answer {
    Answer::of(server.request(Method::POST, "/analyze/").header("idempotency-key", key).json(body)).await
}

#[tokio::test]
async fn the_same_request_again_is_the_same_job_as_it_stands() {
    let server = Server::start().await;
    let first = create(&server, "k-1", &body()).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (202, None));
    work::claim(&server.jobs).await;
    let same = json!({"prompt": "x", "ref": null, "metadata": {"team": "blue"}, "repoUrl": "https://github.com/a/b"});
    for (key, body) in [("k-1", body()), ("\"k-1\"", same)] {
        let again = create(&server, key, &body).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (202, Some("true")));
        assert_eq!(again.header("location"), first.header("location"));
        assert_eq!(again.header("retry-after"), first.header("retry-after"));
        assert_eq!((&again.json()["id"], &again.json()["status"]), (&first.json()["id"], &json!("running")));
    }
    let other = create(&server, "k-2", &body()).await;
    assert_ne!(other.json()["id"], first.json()["id"]);
}

#[tokio::test]
async fn the_same_key_for_another_request_is_refused() {
    let server = Server::start().await;
    assert_eq!(create(&server, "k", &body()).await.status, 202);
    let other = json!({"repoUrl": "https://github.com/a/b", "prompt": "y"});
    let answer = create(&server, "k", &other).await;
    assert_eq!((answer.status, answer.problem()["code"].as_str()), (422, Some("idempotency_key_reused")));
    assert_eq!(server.get("/jobs").await.json()["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_refused_request_does_not_use_the_key_up() {
    let server = Server::start().await;
    assert_eq!(create(&server, "k", &json!({"prompt": "x"})).await.status, 422);
    assert_eq!(create(&server, "k", &body()).await.status, 202);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let server = Server::start().await;
    for key in ["", "a b", "\"a", &"x".repeat(256)] {
        let answer = create(&server, key, &body()).await;
        let problem = answer.problem();
        assert_eq!((answer.status, problem["code"].as_str()), (400, Some("invalid_header")), "{key}");
        assert_eq!(problem["errors"][0]["header"], "Idempotency-Key");
    }
    let twice = server.request(Method::POST, "/analyze/").header("idempotency-key", "a").header("idempotency-key", "b");
    assert_eq!(Answer::of(twice.json(&body())).await.status, 400);
    assert_eq!(create(&server, &"x".repeat(255), &body()).await.status, 202);
}

#[tokio::test]
async fn the_key_of_a_deleted_job_makes_no_new_one() {
    let server = Server::start().await;
    let location = create(&server, "k", &body()).await.header("location").expect("a path").to_owned();
    assert_eq!(Answer::of(server.request(Method::DELETE, &location)).await.status, 204);
    let again = create(&server, "k", &body()).await;
    assert_eq!((again.status, again.problem()["code"].as_str()), (410, Some("purged")));
}
