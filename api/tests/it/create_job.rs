//! `POST /analyze/`.

use domain::{Cost, Effort, GitRef, JobId, JobSpec, MAX_PROMPT_BYTES, PathPattern, Priority, RepoUrl, Strategy};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::server::{Answer, Server};

const SEED: &str =
    r#"{"repoUrl": "https://github.com/jayhack/llm.sh", "prompt": "The program doesnt output anything in windows 10"}"#;

fn patterns(texts: &[&str]) -> Vec<PathPattern> {
    texts.iter().map(|text| PathPattern::parse(text).expect("valid")).collect()
}

fn seed_with(field: &str, value: impl Into<Value>) -> Value {
    let mut body: Value = serde_json::from_str(SEED).expect("JSON");
    body[field] = value.into();
    body
}

#[tokio::test]
async fn the_seeds_call_is_accepted_and_stored() {
    let server = Server::start().await;
    let request = server.request(Method::POST, "/analyze/").header("content-type", "application/json").body(SEED);
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, 202);
    let body = answer.json();
    let id: JobId = body["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    assert_eq!(id.as_uuid().get_version_num(), 7);
    assert_eq!(answer.header("location"), Some(&*format!("/jobs/{id}")));
    assert_eq!(answer.header("retry-after"), Some("2"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    insta::assert_json_snapshot!(answer.redacted());

    let job = server.jobs.get(id).await.expect("store").expect("the row is there");
    let url = RepoUrl::parse("https://github.com/jayhack/llm.sh").expect("valid");
    assert_eq!(job.spec, JobSpec::new(url, "The program doesnt output anything in windows 10"));
    assert_eq!(body["createdAt"], job.created_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
}

#[tokio::test]
async fn curls_default_content_type_and_the_other_spelling_are_the_same_call() {
    let server = Server::start().await;
    for path in ["/analyze/", "/analyze"] {
        for content_type in [Some("application/x-www-form-urlencoded"), Some("text/plain; charset=utf-8"), None] {
            let request = server.request(Method::POST, path).body(format!("\n {SEED}"));
            let request =
                content_type.into_iter().fold(request, |request, value| request.header("content-type", value));
            assert_eq!(Answer::of(request).await.status, 202, "{path} {content_type:?}");
        }
    }
}

#[tokio::test]
async fn every_option_reaches_the_spec() {
    let server = Server::start().await;
    let answer = server
        .create(&json!({
            "repoUrl": "https://git.example.org/a/b.git", "prompt": "Größe — 日本", "ref": "feature/x",
            "model": "claude-opus-5-5", "effort": "xhigh", "strategy": "sheet", "maxCostUsd": 0.1,
            "priority": "high", "timeoutSeconds": 86_400, "maxAttempts": 10, "paths": ["src/**", "*.rs"],
            "excludePaths": ["docs/"], "metadata": {"ticket": "T-1", "größe": ""},
        }))
        .await;
    assert_eq!(answer.status, 202);
    let id = answer.json()["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    let expected = JobSpec {
        repo_url: RepoUrl::parse("https://git.example.org/a/b.git").expect("valid"),
        prompt: "Größe — 日本".to_owned(),
        git_ref: Some(GitRef::parse("feature/x").expect("valid")),
        model: Some("claude-opus-5-5".to_owned()),
        effort: Some(Effort::Xhigh),
        strategy: Some(Strategy::Sheet),
        max_cost: Some(Cost::from_nanos(100_000_000)),
        priority: Priority::High,
        timeout_seconds: 86_400,
        max_attempts: Some(10),
        paths: patterns(&["src/**", "*.rs"]),
        exclude_paths: patterns(&["docs/"]),
        metadata: [("ticket", "T-1"), ("größe", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    };
    assert_eq!(server.jobs.get(id).await.expect("store").expect("row").spec, expected);
    let shown = server.get(&format!("/jobs/{id}")).await;
    insta::assert_json_snapshot!(shown.redacted());
}

#[tokio::test]
async fn absent_and_null_and_auto_are_the_servers_choice() {
    let server = Server::start().await;
    let body = json!({
        "repoUrl": "https://github.com/a/b", "prompt": "x", "ref": null, "model": null, "effort": null,
        "strategy": "auto", "maxCostUsd": null, "priority": null, "timeoutSeconds": null, "maxAttempts": null,
        "paths": null, "excludePaths": [], "metadata": {},
    });
    let id = server.create(&body).await.json()["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    let url = RepoUrl::parse("https://github.com/a/b").expect("valid");
    assert_eq!(server.jobs.get(id).await.expect("store").expect("row").spec, JobSpec::new(url, "x"));
}

#[tokio::test]
async fn all_wrong_fields_are_reported_at_once() {
    let server = Server::start().await;
    let answer = server
        .create(&json!({
            "repoUrl": "git@github.com:a/b.git", "prompt": " ", "ref": "HEAD~1", "model": "a b", "effort": "hard",
            "strategy": ["magic"], "maxCostUsd": -1, "priority": "urgent", "timeoutSeconds": "0", "maxAttempts": 11,
            "paths": ["src", 5, "../x", null], "excludePaths": "docs", "metadata": {"a/b": 1, "c": "x".repeat(513), "d": "d"},
            "webhok": "https://example.com", "x~y": {},
        }))
        .await;
    assert_eq!(answer.status, 422);
    let mut problem = answer.problem();
    problem["requestId"] = "<id>".into();
    insta::assert_json_snapshot!(problem);
}

#[tokio::test]
async fn a_field_that_does_not_exist_is_refused_where_it_stands() {
    let server = Server::start().await;
    let answer = server.create(&seed_with("maxCost/usd", 1)).await;
    assert_eq!(answer.status, 422);
    let problem = answer.problem();
    assert_eq!(problem["code"], "invalid_field");
    assert_eq!(problem["errors"][0]["pointer"], "/maxCost~1usd");
}

#[tokio::test]
async fn a_wrong_value_is_refused_where_it_stands() {
    let server = Server::start().await;
    let cases = [
        ("/repoUrl", seed_with("repoUrl", Value::Null)),
        ("/repoUrl", seed_with("repoUrl", 5)),
        ("/prompt", json!({"repoUrl": "https://github.com/a/b"})),
        ("/prompt", seed_with("prompt", "")),
        ("/prompt", seed_with("prompt", "a\0b")),
        ("/prompt", seed_with("prompt", "x".repeat(MAX_PROMPT_BYTES + 1))),
        ("/ref", seed_with("ref", "")),
        ("/model", seed_with("model", "x".repeat(129))),
        ("/effort", seed_with("effort", "HIGH")),
        ("/strategy", seed_with("strategy", json!(["sheet"]))),
        ("/maxCostUsd", seed_with("maxCostUsd", 0)),
        ("/maxCostUsd", seed_with("maxCostUsd", "0.5")),
        ("/priority", seed_with("priority", "HIGH")),
        ("/timeoutSeconds", seed_with("timeoutSeconds", 0)),
        ("/timeoutSeconds", seed_with("timeoutSeconds", 86_401)),
        ("/timeoutSeconds", seed_with("timeoutSeconds", u64::MAX)),
        ("/timeoutSeconds", seed_with("timeoutSeconds", -1)),
        ("/maxAttempts", seed_with("maxAttempts", 0)),
        ("/maxAttempts", seed_with("maxAttempts", 11)),
        ("/maxAttempts", seed_with("maxAttempts", 2.5)),
        ("/paths", seed_with("paths", "src")),
        ("/paths", seed_with("paths", vec!["x"; 65])),
        ("/paths/1", seed_with("paths", json!(["a", {}]))),
        ("/excludePaths/0", seed_with("excludePaths", json!(["!a"]))),
        ("/excludePaths/0", seed_with("excludePaths", json!(["[a"]))),
        ("/metadata", seed_with("metadata", json!([]))),
        ("/metadata", seed_with("metadata", (0..17).map(|n| (n.to_string(), "x".into())).collect::<Map<_, _>>())),
        ("/metadata/a~1b", seed_with("metadata", json!({"a/b": {"c": 1}}))),
        ("/metadata/a", seed_with("metadata", json!({"a": null}))),
        ("/metadata/a", seed_with("metadata", json!({"a": "x\u{0}"}))),
        ("/metadata/", seed_with("metadata", json!({"": "x"}))),
        ("", json!([1])),
    ];
    for (pointer, body) in cases {
        let answer = server.create(&body).await;
        assert_eq!(answer.status, 422, "{pointer}");
        let problem = answer.problem();
        assert_eq!(problem["code"], "invalid_field", "{pointer}");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
        assert_eq!(problem["errors"].as_array().map(Vec::len), Some(1), "{pointer}");
    }
}

#[tokio::test]
async fn an_address_that_is_no_repository_has_its_own_code() {
    let server = Server::start().await;
    for url in ["ssh://git@github.com/a/b", "file:///etc", "https://user:secret@github.com/a/b", "https://github.com"] {
        let answer = server.create(&seed_with("repoUrl", url)).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (422, Some("unsupported_repo_url")), "{url}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret"), "{url}");
    }
}

#[tokio::test]
async fn an_address_inside_is_blocked_at_once() {
    let server = Server::start().await;
    let urls = [
        "https://127.0.0.1/a/b",
        "https://localhost/a/b",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/a",
        "https://0x7f.1/a",
        "https://github.com:2222/a/b",
        "http://github.com/a/b",
    ];
    for url in urls {
        let answer = server.create(&seed_with("repoUrl", url)).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (422, Some("blocked_address")), "{url}");
        assert_eq!(answer.problem()["errors"][0]["pointer"], "/repoUrl");
    }
}

#[tokio::test]
async fn the_largest_prompt_passes_and_a_larger_body_does_not() {
    let server = Server::start().await;
    assert_eq!(server.create(&seed_with("prompt", "x".repeat(MAX_PROMPT_BYTES))).await.status, 202);
    for body_bytes in [64 * 1024 + 1, 1024 * 1024] {
        let body = format!("{SEED}{}", " ".repeat(body_bytes - SEED.len()));
        let answer = Answer::of(server.request(Method::POST, "/analyze/").body(body)).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (413, Some("body_too_large")), "{body_bytes}");
    }
    let body = format!("{SEED}{}", " ".repeat(64 * 1024 - SEED.len()));
    assert_eq!(Answer::of(server.request(Method::POST, "/analyze/").body(body)).await.status, 202);
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let server = Server::start().await;
    let cases = [
        ("application/json", "{\"repoUrl\":", 400, "malformed_json"),
        ("application/json", "", 400, "malformed_json"),
        ("application/x-www-form-urlencoded", "{\"repoUrl\":1,}", 400, "malformed_json"),
        ("application/x-www-form-urlencoded", "repoUrl=https://github.com/a/b", 415, "unsupported_media_type"),
        ("text/plain", "", 415, "unsupported_media_type"),
    ];
    for (content_type, body, status, code) in cases {
        let request = server.request(Method::POST, "/analyze/").header("content-type", content_type).body(body);
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (status, Some(code)), "{content_type}: {body}");
    }
}

#[tokio::test]
async fn nothing_is_accepted_that_is_not_stored() {
    let server = Server::start_without_tables().await;
    let answer = server.create(&seed_with("ref", "main")).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.header("location"), None);
    let problem = answer.problem();
    assert_eq!((problem["code"].as_str(), problem["retryable"].as_bool()), (Some("storage_unavailable"), Some(true)));
    assert!(!problem.to_string().contains("table"), "{problem}");
}

#[tokio::test]
async fn a_web_page_of_another_origin_cannot_spend_money() {
    let server = Server::start().await;
    let own_origin = format!("http://{}", server.address);
    let cases = [
        ("origin", "https://evil.example", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("origin", own_origin.as_str(), 202),
        ("sec-fetch-site", "same-origin", 202),
    ];
    for (name, value, status) in cases {
        let answer = Answer::of(server.request(Method::POST, "/analyze/").header(name, value).body(SEED)).await;
        assert_eq!(answer.status, status, "{name}: {value}");
        if status == 403 {
            assert_eq!(answer.problem()["code"], "cross_origin");
        }
    }
}
