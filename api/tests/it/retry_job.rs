//! `POST /jobs/{id}/retry`.

use domain::{JobId, Outcome, StageKind};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Server};
use crate::work;

async fn retry(server: &Server, id: JobId, body: &Value) -> Answer {
    Answer::of(server.request(Method::POST, &format!("/jobs/{id}/retry")).json(body)).await
}

/// A job that succeeded, with a plan and edits.
async fn finished(server: &Server) -> JobId {
    let job = work::running(&server.jobs).await;
    for kind in [StageKind::Plan, StageKind::Edit] {
        work::save_stage(&server.jobs, &job.lease, kind.into(), json!({})).await;
    }
    server.jobs.succeed(&job.lease, &work::result(Outcome::Changed, b"diff")).await.expect("succeed");
    job.id
}

#[tokio::test]
async fn a_finished_job_runs_again_from_the_named_stage() {
    let server = Server::start().await;
    let id = finished(&server).await;
    for _ in 0..2 {
        let answer = retry(&server, id, &json!({"fromStage": "edit"})).await;
        assert_eq!((answer.status, answer.header("retry-after")), (202, Some("2")));
        let body = answer.json();
        assert_eq!((&body["status"], &body["attempt"], &body["result"]), (&json!("queued"), &json!(0), &json!(null)));
        let stages = body["stages"].as_array().expect("stages");
        assert_eq!(stages.iter().map(|stage| &stage["name"]).collect::<Vec<_>>(), ["plan"]);
    }
    assert_eq!(work::claim(&server.jobs).await.id, id);
}

/// The client never got its answer, and the job has ended again by the time it asks once more.
#[tokio::test]
async fn a_named_retry_that_is_sent_again_runs_nothing() {
    let server = Server::start().await;
    let id = finished(&server).await;
    let named = |body: Value| {
        let request = server.request(Method::POST, &format!("/jobs/{id}/retry")).json(&body);
        Answer::of(request.header("idempotency-key", "once"))
    };
    let first = named(json!({"fromStage": "edit"})).await;
    assert_eq!((first.status, first.header("idempotent-replayed")), (202, None));
    let job = work::claim(&server.jobs).await;
    server.jobs.succeed(&job.lease, &work::result(Outcome::Changed, b"diff")).await.expect("succeed");
    let again = named(json!({"fromStage": "edit"})).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, Some("true")));
    assert_eq!(again.json()["status"], "succeeded");
    assert!(work::try_claim(&server.jobs).await.is_none());
    let other = named(json!({"fromStage": "plan"})).await;
    assert_eq!((other.status, other.problem()["code"].as_str()), (422, Some("idempotency_key_reused")));
}

#[tokio::test]
async fn no_body_goes_on_at_the_first_unfinished_stage() {
    let server = Server::start().await;
    let id = finished(&server).await;
    let answer = Answer::of(server.request(Method::POST, &format!("/jobs/{id}/retry"))).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["stages"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_job_that_has_not_ended_is_a_conflict() {
    let server = Server::start().await;
    let running = work::running(&server.jobs).await.id;
    let queued = work::submit(&server.jobs).await;
    for id in [running, queued] {
        let answer = retry(&server, id, &json!({})).await;
        assert_eq!((answer.status, answer.problem()["code"].as_str()), (409, Some("not_terminal")));
    }
}

#[tokio::test]
async fn a_stage_that_does_not_exist_is_refused() {
    let server = Server::start().await;
    let id = finished(&server).await;
    for (body, pointer) in [(json!({"fromStage": "polish"}), "/fromStage"), (json!({"from": "edit"}), "/from")] {
        let answer = retry(&server, id, &body).await;
        assert_eq!((answer.status, answer.problem()["errors"][0]["pointer"].as_str()), (422, Some(pointer)));
    }
    assert_eq!(server.get(&format!("/jobs/{id}")).await.json()["status"], "succeeded");
}

#[tokio::test]
async fn what_is_no_job_is_not_found() {
    let server = Server::start().await;
    let answer = retry(&server, JobId::new(), &json!({})).await;
    assert_eq!((answer.status, answer.problem()["code"].as_str()), (404, Some("not_found")));
}
