//! What holds for every route that needs a key. A route that is not in the table below fails the first test.

use domain::{JobId, KeyScope};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server, draft};

/// Every method of every route, and the scope that it takes.
const ROUTES: [(Method, &str, KeyScope); 29] = [
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
    (Method::GET, "/queue/stats", KeyScope::MetricsRead),
    (Method::GET, "/metrics", KeyScope::MetricsRead),
    (Method::GET, "/keys", KeyScope::Admin),
    (Method::POST, "/keys", KeyScope::Admin),
    (Method::DELETE, "/keys/{id}", KeyScope::Admin),
    (Method::DELETE, "/jobs/{id}", KeyScope::JobsWrite),
];

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

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
