//! `POST /jobs/{id}/cancel`.

use domain::{JobId, Outcome};
use reqwest::Method;
use serde_json::json;

use crate::server::{Answer, Server};
use crate::work;

async fn cancel(server: &Server, id: JobId) -> Answer {
    Answer::of(server.request(Method::POST, &format!("/jobs/{id}/cancel"))).await
}

#[tokio::test]
async fn a_waiting_job_is_over_at_once() {
    let server = Server::start().await;
    let id = work::submit(&server.jobs).await;
    for _ in 0..2 {
        let answer = cancel(&server, id).await;
        assert_eq!((answer.status, answer.json()["status"].clone()), (200, json!("canceled")));
        assert_eq!(answer.header("retry-after"), None);
    }
}

#[tokio::test]
async fn a_running_job_is_over_when_its_worker_has_stopped() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    for _ in 0..2 {
        let answer = cancel(&server, job.id).await;
        let body = answer.json();
        assert_eq!((answer.status, &body["status"], answer.header("retry-after")), (202, &json!("running"), Some("2")));
        assert!(body["cancelRequestedAt"].is_string());
    }
    server.jobs.confirm_cancel(&job.lease).await.expect("confirm");
    let answer = cancel(&server, job.id).await;
    assert_eq!((answer.status, answer.json()["status"].clone()), (200, json!("canceled")));
}

#[tokio::test]
async fn a_job_that_is_over_stays_as_it_is() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    server.jobs.succeed(&job.lease, &work::result(Outcome::Changed, b"diff")).await.expect("succeed");
    let answer = cancel(&server, job.id).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["status"], &body["result"]["diff"]), (200, &json!("succeeded"), &json!("diff")));
}

#[tokio::test]
async fn what_is_no_job_is_not_found() {
    let server = Server::start().await;
    let answer = cancel(&server, JobId::new()).await;
    assert_eq!((answer.status, answer.problem()["code"].as_str()), (404, Some("not_found")));
}
