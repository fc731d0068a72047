//! `GET /jobs/{id}`.

use std::time::Duration;

use domain::{Failure, FailureCode, JobId, Outcome, StageKey, StageKind};
use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Server};
use crate::work;

#[tokio::test]
async fn a_job_is_shown_through_its_whole_life() {
    let server = Server::start().await;
    let id = work::submit(&server.jobs).await;
    let path = format!("/jobs/{id}");
    let queued = server.get(&path).await;
    assert_eq!((queued.status, queued.header("retry-after")), (200, Some("2")));
    insta::assert_json_snapshot!("queued", queued.redacted());

    let job = work::claim(&server.jobs).await;
    work::save_stage(&server.jobs, &job.lease, StageKind::Sheet.into(), json!({"text": "…", "files": 2})).await;
    work::call(&server.jobs, &job.lease, StageKind::Plan.into()).await;
    let running = server.get(&path).await;
    assert_eq!((running.status, running.header("retry-after")), (200, Some("2")));
    insta::assert_json_snapshot!("running", running.redacted());

    work::save_stage(&server.jobs, &job.lease, StageKind::Plan.into(), json!({"steps": []})).await;
    let diff = "diff --git a/größe b/größe\n";
    server.jobs.succeed(&job.lease, &work::result(Outcome::Changed, diff.as_bytes())).await.expect("succeed");
    let succeeded = server.get(&path).await;
    assert_eq!((succeeded.status, succeeded.header("retry-after")), (200, None));
    insta::assert_json_snapshot!("succeeded", succeeded.redacted());
}

#[tokio::test]
async fn a_diff_that_is_not_text_is_shown_in_base64() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    server.jobs.succeed(&job.lease, &work::result(Outcome::Changed, b"-caf\xe9\n+ok\n")).await.expect("succeed");
    let result = server.get(&format!("/jobs/{}", job.id)).await.json()["result"].take();
    assert_eq!((&result["diff"], &result["diffEncoding"]), (&json!("LWNhZukKK29rCg=="), &json!("base64")));
}

#[tokio::test]
async fn a_failure_is_a_problem() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    work::call(&server.jobs, &job.lease, StageKind::Plan.into()).await;
    let failure = Failure::new(FailureCode::RepoNotFound, "github.com answered 404 for jayhack/llm.shh");
    server.jobs.fail(&job.lease, &failure).await.expect("fail");
    let failed = server.get(&format!("/jobs/{}", job.id)).await;
    insta::assert_json_snapshot!("failed", failed.redacted());
}

#[tokio::test]
async fn a_retry_in_wait_says_when_it_goes_on() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    let failure = Failure::new(FailureCode::ModelOverloaded, "the model service is overloaded");
    server.jobs.requeue(&job.lease, &failure, Duration::from_mins(1)).await.expect("requeue");
    let waiting = server.get(&format!("/jobs/{}", job.id)).await;
    insta::assert_json_snapshot!("waiting", waiting.redacted());
}

#[tokio::test]
async fn a_canceled_job_has_neither_result_nor_error() {
    let server = Server::start().await;
    let id = work::submit(&server.jobs).await;
    server.jobs.cancel(id).await.expect("cancel");
    let body = server.get(&format!("/jobs/{id}")).await.json();
    assert_eq!((&body["status"], &body["result"], &body["error"]), (&json!("canceled"), &json!(null), &json!(null)));
    assert!(body["finishedAt"].is_string());
}

#[tokio::test]
async fn a_client_that_has_this_version_gets_304_until_the_job_changes() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    let path = format!("/jobs/{}", job.id);
    let first = server.get(&path).await;
    let etag = first.header("etag").expect("a tag").to_owned();
    assert_eq!(etag, format!("\"{}\"", first.json()["version"]));
    let ask = |tag: String| Answer::of(server.request(Method::GET, &path).header("if-none-match", tag));
    for known in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
        let answer = ask(known.clone()).await;
        assert_eq!((answer.status, answer.header("etag"), answer.body.len()), (304, Some(&*etag), 0), "{known}");
        assert_eq!(answer.header("retry-after"), Some("2"));
    }
    work::save_stage(&server.jobs, &job.lease, StageKind::Sheet.into(), json!({})).await;
    let changed = ask(etag.clone()).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(&*etag));
}

#[tokio::test]
async fn the_output_of_a_stage_with_an_item_is_where_the_job_says() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    let key = StageKey { kind: StageKind::Edit, item: "src/größe #1?.rs".to_owned() };
    work::save_stage(&server.jobs, &job.lease, key, json!({"edits": 3})).await;
    let stages = server.get(&format!("/jobs/{}", job.id)).await.json()["stages"].take();
    assert_eq!(stages[0]["name"], "edit:src/größe #1?.rs");
    let output = server.get(stages[0]["output"].as_str().expect("a path")).await;
    assert_eq!((output.status, output.json()), (200, json!({"edits": 3})));
}

#[tokio::test]
async fn what_is_no_job_is_not_found() {
    let server = Server::start().await;
    for id in [JobId::new().to_string(), "1".to_owned(), "%ff".to_owned(), "x".repeat(5000)] {
        for path in ["", "/diff", "/stages/plan"] {
            let answer = server.get(&format!("/jobs/{id}{path}")).await;
            assert_eq!((answer.status, answer.problem()["code"].as_str()), (404, Some("not_found")), "{id}{path}");
        }
    }
}

#[tokio::test]
async fn a_store_that_fails_is_not_a_job_that_is_missing() {
    let server = Server::start_without_tables().await;
    let id = JobId::new();
    for path in ["", "/diff", "/stages/plan"] {
        let answer = server.get(&format!("/jobs/{id}{path}")).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (503, Some("storage_unavailable")), "{path}");
        assert_eq!(answer.header("retry-after"), Some("5"), "{path}");
    }
}
