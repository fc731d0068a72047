//! What holds for every route that needs a key. A route that is not in the table below fails the first test.

use domain::{JobId, JobSpec, KeyId, KeyScope, Outcome, RepoUrl, StageKind, WebhookUrl};
use jobs::{DEFAULT_WEBHOOK_EVENTS, DeliveryId, Jobs, NewJob, NewWebhook, WebhookId};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server, draft};
use crate::work;

/// Every method of every route, and the scope that it takes; what changes most comes last.
const ROUTES: [(Method, &str, KeyScope); 27] = [
    (Method::GET, "/jobs", KeyScope::JobsRead),
    (Method::GET, "/jobs/{id}", KeyScope::JobsRead),
    (Method::GET, "/jobs/{id}/events", KeyScope::JobsRead),
    (Method::GET, "/jobs/{id}/diff", KeyScope::JobsRead),
    (Method::GET, "/jobs/{id}/stages/{name}", KeyScope::JobsRead),
    (Method::POST, "/analyze", KeyScope::JobsWrite),
    (Method::POST, "/analyze/", KeyScope::JobsWrite),
    (Method::POST, "/jobs/{id}/cancel", KeyScope::JobsWrite),
    (Method::POST, "/jobs/{id}/retry", KeyScope::JobsWrite),
    (Method::GET, "/webhooks", KeyScope::WebhooksWrite),
    (Method::POST, "/webhooks", KeyScope::WebhooksWrite),
    (Method::GET, "/webhooks/default/secret", KeyScope::WebhooksWrite),
    (Method::POST, "/webhooks/default/rotate-secret", KeyScope::WebhooksWrite),
    (Method::GET, "/webhooks/{id}", KeyScope::WebhooksWrite),
    (Method::PATCH, "/webhooks/{id}", KeyScope::WebhooksWrite),
    (Method::POST, "/webhooks/{id}/rotate-secret", KeyScope::WebhooksWrite),
    (Method::POST, "/webhooks/{id}/test", KeyScope::WebhooksWrite),
    (Method::POST, "/webhooks/{id}/replay", KeyScope::WebhooksWrite),
    (Method::GET, "/webhooks/{id}/deliveries", KeyScope::WebhooksWrite),
    (Method::GET, "/jobs/{id}/deliveries", KeyScope::WebhooksWrite),
    (Method::GET, "/deliveries/{id}", KeyScope::WebhooksWrite),
    (Method::POST, "/deliveries/{id}/redeliver", KeyScope::WebhooksWrite),
    (Method::DELETE, "/webhooks/{id}", KeyScope::WebhooksWrite),
    (Method::GET, "/keys", KeyScope::Admin),
    (Method::POST, "/keys", KeyScope::Admin),
    (Method::DELETE, "/keys/{id}", KeyScope::Admin),
    (Method::DELETE, "/jobs/{id}", KeyScope::JobsWrite),
];

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// What another owner must see nothing of.
const SECRET: &str = "only-for-owner-a";

/// A path with its parameters filled in.
fn fill(path: &str, id: &str) -> String {
    let filled = path.replace("{id}", id).replace("{name}", "plan");
    assert!(!filled.contains('{'), "{path}: say here what stands for its other parameters");
    filled
}

async fn ask(server: &Server, key: &str, method: &Method, path: &str) -> Answer {
    Answer::of(
        server.request(method.clone(), path).bearer_auth(key).header("content-type", "application/json").body("{}"),
    )
    .await
}

#[tokio::test]
async fn the_table_has_every_route() {
    let server = Server::start().await;
    let (_, key) = server.key(draft("a", &KeyScope::ALL)).await;
    let mut found = 0;
    for path in api::guarded_paths() {
        for method in METHODS {
            let answer = ask(&server, &key, &method, &fill(&path, &JobId::new().to_string())).await;
            let is_known = ROUTES.iter().any(|route| (&route.0, route.1) == (&method, &*path));
            assert_eq!(answer.status != 405, is_known, "{method} {path}: {}", answer.status);
            found += usize::from(is_known);
        }
    }
    assert_eq!(found, ROUTES.len(), "the table has a route that is not there");
}

/// The description names the scope of each route, and no key where none is needed.
#[test]
fn the_description_names_the_scopes() {
    let description: Value = serde_json::from_str(&api::description()).expect("JSON");
    for (method, path, scope) in ROUTES.iter().filter(|(_, path, _)| *path != "/analyze") {
        let operation = &description["paths"][path][method.as_str().to_lowercase()];
        assert_eq!(operation["security"], json!([{}, { "key": [scope.as_str()] }]), "{method} {path}");
        for status in ["401", "403", "429", "503"] {
            assert!(operation["responses"][status].is_object(), "{method} {path} {status}");
        }
    }
    assert_eq!(description["paths"]["/healthz"]["get"]["security"], Value::Null);
}

#[tokio::test]
async fn without_a_key_there_is_no_answer_but_401() {
    let server = Server::start().await;
    server.key_of("a").await;
    for (method, path, _) in ROUTES {
        let path = fill(path, &JobId::new().to_string());
        let answer = Answer::of(server.request(method.clone(), &path)).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{method} {path}");
        assert_eq!(answer.problem()["code"], "unauthenticated");
        assert_eq!(answer.header("ratelimit"), None);
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).await.status, 200, "{path} is for everybody");
    }
    assert_eq!(server.get("/nowhere").await.status, 404);
}

#[tokio::test]
async fn each_route_takes_its_scope_and_no_other() {
    let server = Server::start().await;
    let mut keys = Vec::new();
    for scope in KeyScope::ALL {
        keys.push((scope, server.key(draft("a", &[scope])).await.1));
    }
    for (method, path, needed) in ROUTES {
        let path = fill(path, &JobId::new().to_string());
        for (scope, key) in &keys {
            let answer = ask(&server, key, &method, &path).await;
            let is_refused = [401, 403].contains(&answer.status);
            assert_eq!(!is_refused, *scope == needed, "{method} {path} with {scope}: {}", answer.status);
            if is_refused {
                assert_eq!(answer.status, 403);
                let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\"");
                assert_eq!(answer.header("www-authenticate"), Some(&*challenge), "{method} {path}");
                let problem = answer.problem();
                assert_eq!(problem["code"], "insufficient_scope");
                assert!(problem["detail"].as_str().expect("text").contains(needed.as_str()), "{problem}");
            }
        }
    }
}

/// A job of owner `a` that ended with a diff and has the output of a stage.
async fn job_of_a(jobs: &Jobs) -> JobId {
    let url = RepoUrl::parse("https://github.com/jayhack/llm.sh").expect("valid");
    let new = NewJob { owner: Some("a".to_owned()), ..NewJob::from(JobSpec::new(url, SECRET)) };
    let id = jobs.submit(new).await.expect("submit").id;
    let lease = work::claim(jobs).await.lease;
    work::save_stage(jobs, &lease, StageKind::Plan.into(), json!({ "text": SECRET })).await;
    jobs.succeed(&lease, &work::result(Outcome::Changed, SECRET.as_bytes())).await.expect("succeed");
    id
}

/// A webhook of owner `a`, and a delivery to it.
async fn webhook_of_a(jobs: &Jobs) -> (WebhookId, DeliveryId) {
    let webhook = NewWebhook {
        owner: Some("a".to_owned()),
        url: WebhookUrl::parse("https://example.com/hook").expect("valid"),
        description: SECRET.to_owned(),
        events: DEFAULT_WEBHOOK_EVENTS.to_vec(),
        is_enabled: true,
    };
    let (webhook, _) = jobs.create_webhook(webhook).await.expect("create").expect("room for it");
    let delivery = jobs.test_webhook(Some("a"), webhook.id).await.expect("test").expect("a delivery");
    (webhook.id, delivery.id)
}

/// The answer without what names the request: status, headers, body.
fn anonymous(answer: &Answer, id: &str) -> (u16, Vec<(String, String)>, String) {
    let request_id = answer.header("x-request-id").expect("an id").to_owned();
    let body = String::from_utf8_lossy(&answer.body).replace(&request_id, "<request>").replace(id, "<id>");
    let varies = ["x-request-id", "date", "ratelimit"];
    let headers = answer.headers.iter().filter(|(name, _)| !varies.contains(&name.as_str()));
    let text = |value: &reqwest::header::HeaderValue| value.to_str().expect("text").to_owned();
    (answer.status, headers.map(|(name, value)| (name.to_string(), text(value))).collect(), body)
}

#[tokio::test]
async fn what_is_anothers_looks_as_if_it_were_not_there() {
    let server = Server::start().await;
    let (owner_key, other_key) = (server.key_of("a").await, server.key_of("b").await);
    let job = job_of_a(&server.jobs).await;
    let (key, _) = server.key(draft("a", &KeyScope::DEFAULT)).await;
    let (webhook, delivery) = webhook_of_a(&server.jobs).await;
    let before = server.jobs.get(job).await.expect("read");

    let with_ids: Vec<_> = ROUTES.into_iter().filter(|(_, path, _)| path.contains('{')).collect();
    for (method, path, _) in &with_ids {
        // A key belongs to the server: who may manage keys may manage all of them, and others none.
        let (foreign, unknown, expected) = match path.split('/').nth(1) {
            Some("jobs") => (job.to_string(), JobId::new().to_string(), 404),
            Some("webhooks") => (webhook.to_string(), JobId::new().to_string(), 404),
            Some("deliveries") => (delivery.to_string(), JobId::new().to_string(), 404),
            Some("keys") => (key.id.to_string(), KeyId::new().to_string(), 403),
            _ => panic!("{path}: say here what of owner `a` it leads to"),
        };
        let on_foreign = ask(&server, &other_key, method, &fill(path, &foreign)).await;
        let on_unknown = ask(&server, &other_key, method, &fill(path, &unknown)).await;
        assert_eq!(on_foreign.status, expected, "{method} {path}");
        assert_eq!(anonymous(&on_foreign, &foreign), anonymous(&on_unknown, &unknown), "{method} {path}");
        assert!(!String::from_utf8_lossy(&on_foreign.body).contains(SECRET), "{method} {path}");
    }
    assert_eq!(server.jobs.get(job).await.expect("read"), before, "nothing has changed");
    assert_eq!(server.get_with(&owner_key, &format!("/jobs/{job}")).await.status, 200);

    // The same requests reach something when the owner sends them: none of the answers above was 404 anyway.
    for (method, path, _) in with_ids.iter().filter(|(_, path, _)| !path.starts_with("/keys")) {
        let id = match path.split('/').nth(1) {
            Some("webhooks") => webhook.to_string(),
            Some("deliveries") => delivery.to_string(),
            _ => job.to_string(),
        };
        let answer = ask(&server, &owner_key, method, &fill(path, &id)).await;
        // A replay says since when.
        let expected = if path.ends_with("/replay") { 422..423 } else { 200..300 };
        assert!(expected.contains(&answer.status), "{method} {path}: {}", answer.status);
    }
}
