//! `/webhooks` and `/deliveries`.

use std::time::Duration;

use jobs::{DeliveryEnd, Exchange, Pace, WorkerId};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server};

const URL: &str = "https://hooks.example.org/in?token=1";

async fn send(server: &Server, method: Method, path: &str, body: Value) -> Answer {
    Answer::of(server.request(method, path).json(&body)).await
}

async fn post(server: &Server, path: &str, body: Value) -> Answer {
    send(server, Method::POST, path, body).await
}

async fn create(server: &Server) -> Value {
    let answer = post(server, "/webhooks", json!({"url": URL})).await;
    assert_eq!(answer.status, 201);
    answer.json()
}

fn path(webhook: &Value, tail: &str) -> String {
    format!("/webhooks/{}{tail}", webhook["id"].as_str().expect("an id"))
}

/// What a worker would do with the next message: `status` is what the receiver answers.
async fn deliver(server: &Server, status: u16) {
    let worker = WorkerId::new("test");
    let mut claimed = Vec::new();
    for pace in [Pace::Quick, Pace::Slow] {
        claimed.extend(server.jobs.claim_deliveries(&worker, pace, 1).await.expect("claim"));
    }
    let delivery = claimed.first().expect("a message is due");
    let is_taken = status < 300;
    let exchange = Exchange {
        duration: Duration::from_millis(12),
        status: Some(status),
        error: (!is_taken).then(|| format!("the receiver answered {status}")),
        response: Some("thanks".to_owned()),
    };
    let end = if is_taken { DeliveryEnd::Delivered } else { DeliveryEnd::Failed };
    server.jobs.finish_delivery(&delivery.lease, delivery.claimed_at, &exchange, end).await.expect("finish");
}

#[tokio::test]
async fn a_webhook_shows_its_secret_once() {
    let server = Server::start().await;
    let answer =
        post(&server, "/webhooks", json!({"url": URL, "description": "ours", "events": ["job.started"]})).await;
    assert_eq!(answer.status, 201);
    let created = answer.json();
    let secret = created["secret"].as_str().expect("a secret").to_owned();
    assert!(secret.starts_with("whsec_"));
    assert_eq!(answer.header("location"), Some(path(&created, "").as_str()));
    let mut shown = answer.redacted();
    shown["secret"] = json!("<secret>");
    insta::assert_json_snapshot!(shown);

    for path in ["/webhooks".to_owned(), path(&created, ""), path(&created, "/deliveries")] {
        let answer = server.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("whsec_"), "{path}");
    }
    let rotated = post(&server, &path(&created, "/rotate-secret"), json!({})).await;
    assert_eq!((rotated.status, rotated.header("cache-control")), (200, Some("no-store")));
    assert_ne!(rotated.json()["secret"], secret);
    assert!(rotated.json()["previousExpiresAt"].is_string());
}

#[tokio::test]
async fn the_default_secret_stays_until_it_is_rotated() {
    let server = Server::start().await;
    let first = server.get("/webhooks/default/secret").await;
    assert_eq!((first.status, first.header("cache-control")), (200, Some("no-store")));
    assert_eq!(server.get("/webhooks/default/secret").await.json(), first.json());
    let rotated = post(&server, "/webhooks/default/rotate-secret", json!({})).await.json();
    assert_ne!(rotated["secret"], first.json()["secret"]);
    assert_eq!(server.get("/webhooks/default/secret").await.json()["secret"], rotated["secret"]);
}

#[tokio::test]
async fn a_webhook_is_changed_paused_and_deleted() {
    let server = Server::start().await;
    let created = create(&server).await;
    let change = json!({"description": "new", "enabled": false, "events": ["job.failed", "job.failed"]});
    let changed = send(&server, Method::PATCH, &path(&created, ""), change).await;
    assert_eq!(changed.status, 200);
    let body = changed.json();
    assert_eq!((&body["description"], &body["enabled"], &body["url"]), (&json!("new"), &json!(false), &json!(URL)));
    assert_eq!((&body["events"], &body["disabledReason"]), (&json!(["job.failed"]), &Value::Null));
    for action in ["/test", "/replay"] {
        let refused = post(&server, &path(&created, action), json!({"since": "2026-01-01T00:00:00Z"})).await;
        assert_eq!((refused.status, refused.problem()["code"].as_str()), (409, Some("webhook_disabled")));
    }
    let enabled = send(&server, Method::PATCH, &path(&created, ""), json!({"enabled": true})).await.json();
    assert_eq!((&enabled["enabled"], &enabled["disabledAt"]), (&json!(true), &Value::Null));
    let delete = async || Answer::of(server.request(Method::DELETE, &path(&created, ""))).await.status;
    assert_eq!((delete().await, delete().await), (204, 404));
    assert_eq!(server.get("/webhooks").await.json(), json!({"data": [], "nextCursor": null}));
}

#[tokio::test]
async fn mistakes_are_named_all_at_once() {
    let server = Server::start().await;
    let wrong = json!({"url": "http://127.0.0.1/x", "events": ["job.started", "job.exploded"], "description": "\u{0}"});
    let answer = post(&server, "/webhooks", wrong).await;
    assert_eq!(answer.status, 422);
    insta::assert_json_snapshot!(answer.problem()["errors"]);
    for (body, pointer) in [
        (json!({}), "/url"),
        (json!({"url": URL, "events": []}), "/events"),
        (json!({"url": URL, "secret": "whsec_x"}), "/secret"),
        (json!({"url": "https://user:password@hooks.example.org"}), "/url"),
    ] {
        let problem = post(&server, "/webhooks", body).await.problem();
        assert_eq!((&problem["status"], &problem["errors"][0]["pointer"]), (&json!(422), &json!(pointer)));
    }
    for url in ["https://localhost/x", "https://169.254.169.254/x", "https://10.0.0.1/x", "https://redis:6379/x"] {
        let problem = post(&server, "/webhooks", json!({"url": url})).await.problem();
        assert_eq!(problem["code"], "blocked_address", "{url}");
    }
    assert_eq!(server.get("/webhooks").await.json()["data"], json!([]));
}

#[tokio::test]
async fn there_is_a_bound_on_webhooks() {
    let server = Server::start().await;
    for _ in 0..jobs::MAX_WEBHOOKS {
        create(&server).await;
    }
    let refused = post(&server, "/webhooks", json!({"url": URL})).await;
    assert_eq!((refused.status, refused.problem()["code"].as_str()), (409, Some("too_many_webhooks")));
}

#[tokio::test]
async fn a_test_is_sent_shown_and_sent_again() {
    let server = Server::start().await;
    let created = create(&server).await;
    let test = post(&server, &path(&created, "/test"), json!({})).await;
    assert_eq!((test.status, &test.json()["status"]), (202, &json!("pending")));
    deliver(&server, 500).await;
    let delivery = format!("/deliveries/{}", test.json()["id"].as_str().expect("an id"));
    let shown = server.get(&delivery).await.json();
    assert_eq!((&shown["status"], &shown["type"]), (&json!("failed"), &json!("webhook.test")));
    assert_eq!(shown["payload"]["data"]["webhookId"], created["id"]);
    assert_eq!(shown["attempts"][0]["error"], "the receiver answered 500");
    let again = post(&server, &format!("{delivery}/redeliver"), json!({})).await;
    assert_eq!((again.status, &again.json()["messageId"]), (202, &shown["messageId"]));
    deliver(&server, 204).await;
    let shown = server.get(&delivery).await.json();
    assert_eq!((&shown["status"], shown["attempts"].as_array().map(Vec::len)), (&json!("delivered"), Some(2)));
    let wrong = json!({"until": "tomorrow", "status": "pending"});
    let problem = post(&server, &path(&created, "/replay"), wrong).await.problem();
    let pointers: Vec<&Value> = problem["errors"].as_array().expect("errors").iter().map(|it| &it["pointer"]).collect();
    assert_eq!(pointers, ["/since", "/until", "/status"]);
    let replay = json!({"since": "2026-01-01T00:00:00Z", "status": "delivered"});
    let replayed = post(&server, &path(&created, "/replay"), replay).await;
    assert_eq!((replayed.status, replayed.json()), (202, json!({"deliveries": 1})));
}

#[tokio::test]
async fn deliveries_are_listed_by_status_and_page() {
    let server = Server::start().await;
    let created = create(&server).await;
    for status in [204, 500, 204] {
        post(&server, &path(&created, "/test"), json!({})).await;
        deliver(&server, status).await;
    }
    let ids = |page: &Value| -> Vec<String> {
        let data = page["data"].as_array().expect("a page").iter();
        data.map(|delivery| delivery["id"].as_str().expect("an id").to_owned()).collect()
    };
    let all = server.get(&path(&created, "/deliveries")).await.json();
    let all_ids = ids(&all);
    assert_eq!((all_ids.len(), &all["nextCursor"]), (3, &Value::Null));
    assert!(all_ids.is_sorted_by(|newer, older| newer > older));
    let failed = server.get(&path(&created, "/deliveries?status=failed")).await.json();
    assert_eq!(ids(&failed), all_ids[1..2]);
    let first = server.get(&path(&created, "/deliveries?limit=2")).await.json();
    assert_eq!(ids(&first), all_ids[..2]);
    let cursor = first["nextCursor"].as_str().expect("a cursor");
    let second = server.get(&path(&created, &format!("/deliveries?limit=2&cursor={cursor}"))).await.json();
    assert_eq!((ids(&second), &second["nextCursor"]), (all_ids[2..].to_vec(), &Value::Null));
    for (query, status, code) in [
        ("cursor=x!", 400, "bad_cursor"),
        ("limit=0", 400, "invalid_parameter"),
        ("status=lost", 400, "invalid_parameter"),
        ("colour=red", 400, "invalid_parameter"),
    ] {
        let refused = server.get(&path(&created, &format!("/deliveries?{query}"))).await;
        assert_eq!((refused.status, refused.problem()["code"].as_str()), (status, Some(code)), "{query}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = Server::start().await;
    for id in ["0199a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "default", "%20"] {
        for (method, path) in [
            (Method::GET, format!("/webhooks/{id}")),
            (Method::PATCH, format!("/webhooks/{id}")),
            (Method::DELETE, format!("/webhooks/{id}")),
            (Method::POST, format!("/webhooks/{id}/test")),
            (Method::POST, format!("/webhooks/{id}/replay")),
            (Method::GET, format!("/webhooks/{id}/deliveries")),
            (Method::GET, format!("/deliveries/{id}")),
            (Method::POST, format!("/deliveries/{id}/redeliver")),
        ] {
            let answer = send(&server, method.clone(), &path, json!({})).await;
            assert_eq!((answer.status, answer.problem()["code"].as_str()), (404, Some("not_found")), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_job_brings_a_webhook_along() {
    let server = Server::start().await;
    let job = |webhook: Value| json!({"repoUrl": "https://github.com/a/b", "prompt": "x", "webhook": webhook});
    let accepted = server.create(&job(json!({"url": URL}))).await;
    assert_eq!(accepted.status, 202);
    let id = accepted.json()["id"].as_str().expect("an id").to_owned();
    post(&server, &format!("/jobs/{id}/cancel"), json!({})).await;
    let listed = server.get(&format!("/jobs/{id}/deliveries")).await.json();
    assert_eq!((&listed["data"][0]["type"], &listed["data"][0]["webhookId"]), (&json!("job.canceled"), &Value::Null));
    assert_eq!(server.get("/webhooks").await.json()["data"], json!([]), "it is the job's alone");

    for (webhook, pointer) in [
        (json!({}), "/webhook/url"),
        (json!({"url": "https://10.0.0.1/"}), "/webhook/url"),
        (json!({"url": URL, "events": ["job.queued"]}), "/webhook/events/0"),
        (json!({"url": URL, "secret": "x"}), "/webhook/secret"),
    ] {
        let problem = server.create(&job(webhook)).await.problem();
        assert_eq!((&problem["status"], &problem["errors"][0]["pointer"]), (&json!(422), &json!(pointer)));
    }
}
