//! Which web pages may use the server, as a browser would ask.

use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::server::{Answer, Server};

const PAGE: &str = "https://app.example.org";
const STRANGER: &str = "https://evil.example";
const BODY: &str = r#"{"repoUrl": "https://git.example.com/a/b", "prompt": "Say hello."}"#;

async fn ask(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = server.request(method, path).body(BODY);
    Answer::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

fn of_cors(headers: &HeaderMap) -> usize {
    headers.keys().filter(|name| name.as_str().starts_with("access-control-")).count()
}

#[tokio::test]
async fn no_page_of_another_origin_is_told_anything_unless_the_operator_says_so() {
    let server = Server::start().await;
    let preflight = [("origin", PAGE), ("access-control-request-method", "POST")];
    for (method, path, headers) in
        [(Method::OPTIONS, "/analyze/", &preflight[..]), (Method::GET, "/jobs", &preflight[..1])]
    {
        let answer = ask(&server, method, path, headers).await;
        assert_eq!(of_cors(&answer.headers), 0, "{path}: {:?}", answer.headers);
    }
}

#[tokio::test]
async fn a_page_that_the_operator_names_uses_the_whole_api() {
    let server = Server::start_for_pages_of(PAGE).await;
    let key = server.key_of("team").await;
    let asked = "authorization,content-type,idempotency-key,if-none-match,last-event-id,prefer";
    let preflight = [
        ("origin", PAGE),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", asked),
        ("sec-fetch-site", "cross-site"),
    ];
    // Browsers send no key with it.
    let answer = ask(&server, Method::OPTIONS, "/analyze/", &preflight).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
    let allowed = answer.header("access-control-allow-headers").unwrap().to_owned();
    assert!(asked.split(',').all(|name| allowed.contains(name)), "{allowed}");
    let methods = answer.header("access-control-allow-methods").unwrap();
    assert!(["GET", "POST", "PATCH", "DELETE"].iter().all(|name| methods.contains(name)), "{methods}");
    assert_eq!(answer.header("access-control-allow-credentials"), None);

    let bearer = format!("Bearer {key}");
    let sent = [("origin", PAGE), ("sec-fetch-site", "cross-site"), ("authorization", bearer.as_str())];
    let answer = ask(&server, Method::POST, "/analyze/", &sent).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (202, Some(PAGE)));
    let readable = answer.header("access-control-expose-headers").unwrap().to_owned();
    assert!(["location", "retry-after", "ratelimit", "x-request-id"].iter().all(|name| readable.contains(name)));

    // What goes wrong is for the page to read, too.
    let answer = ask(&server, Method::POST, "/analyze/", &sent[..2]).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, Some(PAGE)));
    assert_eq!(answer.problem()["code"], "unauthenticated");
}

#[tokio::test]
async fn other_pages_stay_outside() {
    let server = Server::start_for_pages_of(PAGE).await;
    for (name, value) in [("origin", STRANGER), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let answer = ask(&server, Method::POST, "/analyze/", &[(name, value)]).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (403, Some("cross_origin")), "{value}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{value}");
    }
    let answer = ask(&server, Method::GET, "/jobs", &[("origin", STRANGER)]).await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

/// A page whose name leads here by now is of the same origin, for its browser.
#[tokio::test]
async fn an_open_server_answers_no_page_under_a_name_of_its_own() {
    let server = Server::start_for_this_machine().await;
    let page =
        [("host", "evil.example:8000"), ("origin", "http://evil.example:8000"), ("sec-fetch-site", "same-origin")];
    for (method, path) in [(Method::POST, "/analyze/"), (Method::GET, "/jobs"), (Method::POST, "/keys")] {
        let answer = ask(&server, method, path, &page).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (403, Some("foreign_host")), "{path}");
    }
    for own in ["localhost:8000", "127.0.0.1"] {
        assert_eq!(ask(&server, Method::POST, "/analyze/", &[("host", own)]).await.status, 202, "{own}");
    }
    assert_eq!(ask(&server, Method::GET, "/healthz", &page[..1]).await.status, 200, "there is nothing to be had");

    let key = server.key_of("team").await;
    let bearer = format!("Bearer {key}");
    let sent = [("host", "tinygen.example.org"), ("authorization", bearer.as_str())];
    assert_eq!(ask(&server, Method::GET, "/jobs", &sent).await.status, 200, "no page has a key that it was not given");
}
