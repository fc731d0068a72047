//! The description of the API, and the page that shows it.

use serde_json::Value;

use crate::server::Server;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

#[test]
fn the_file_is_what_the_code_describes() {
    let description = api::description();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(FILE, &description).expect("it can be written");
    }
    let file = std::fs::read_to_string(FILE).expect("it is there");
    assert!(file == description, "api/openapi.json is not up to date: run the test with UPDATE_OPENAPI=1");
}

#[tokio::test]
async fn the_description_is_served() {
    let server = Server::start().await;
    let answer = server.get("/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(String::from_utf8(answer.body.clone()).expect("text"), api::description());
    assert_eq!(answer.json()["openapi"].as_str().map(|version| &version[..4]), Some("3.1."));
}

/// What a reader needs of each answer: what it means, what is in it, and the request's id.
#[test]
fn every_answer_is_described() {
    let description: Value = serde_json::from_str(&api::description()).expect("JSON");
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let name = format!("{method} {path}");
            assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{name}");
            let responses = operation["responses"].as_object().expect("responses");
            assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
            for (status, response) in responses {
                assert!(!response["description"].as_str().expect("text").is_empty(), "{name} {status}");
                assert!(response["headers"]["X-Request-Id"].is_object(), "{name} {status}");
                let is_error = status.starts_with(['4', '5']);
                assert!(!is_error || response["content"].is_object(), "{name} {status}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_needs_no_other_host() {
    let server = Server::start().await;
    let page = server.get("/docs/").await;
    assert_eq!(page.status, 200);
    let html = String::from_utf8(page.body).expect("text");
    assert!(!html.contains("src=\"http") && !html.contains("href=\"http") && !html.contains("\"//"), "{html}");
    let parts: Vec<&str> =
        html.split(['"', '\'']).filter(|part| part.ends_with(".js") || part.ends_with(".css")).collect();
    assert!(parts.len() >= 3, "{html}");
    for part in parts {
        let answer = server.get(&format!("/docs/{}", part.trim_start_matches("./"))).await;
        assert_eq!(answer.status, 200, "{part}");
        assert!(!answer.body.is_empty(), "{part}");
    }
}
