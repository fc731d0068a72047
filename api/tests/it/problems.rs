//! What every answer has, good or bad.

use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Server};

#[tokio::test]
async fn an_unknown_address_is_a_problem_that_names_the_request() {
    let server = Server::start().await;
    let answer = Answer::of(server.request(Method::GET, "/nowhere?x=1").header("x-request-id", "client-7")).await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.problem(),
        json!({
            "type": "urn:tinygen:problem:not-found", "title": "Not found", "status": 404,
            "detail": "there is no such address", "instance": "/nowhere", "code": "not_found", "retryable": false,
            "requestId": "client-7",
        })
    );
}

#[tokio::test]
async fn a_wrong_method_says_which_ones_there_are() {
    let server = Server::start().await;
    let cases = [("/analyze/", Method::GET, "POST"), ("/healthz", Method::DELETE, "GET,HEAD")];
    for (path, method, allowed) in cases {
        let answer = Answer::of(server.request(method, path)).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allowed)), "{path}");
        assert_eq!(answer.problem()["code"], "method_not_allowed", "{path}");
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own_or_the_clients() {
    let server = Server::start().await;
    let echoed = Answer::of(server.request(Method::GET, "/healthz").header("x-request-id", "abc-123")).await;
    assert_eq!(echoed.header("x-request-id"), Some("abc-123"));
    for unfit in ["", "two words", &"x".repeat(129)] {
        let answer = Answer::of(server.request(Method::GET, "/healthz").header("x-request-id", unfit)).await;
        let id = answer.header("x-request-id").expect("an id");
        assert_eq!(uuid::Uuid::parse_str(id).expect("a UUID").get_version_num(), 7, "{unfit}");
    }
    let (one, other) = (server.get("/healthz").await, server.get("/healthz").await);
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::start().await;
    for (path, status) in [("/healthz", 200), ("/nowhere", 404)] {
        let answer = Answer::of(server.request(Method::HEAD, path)).await;
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
    }
}
