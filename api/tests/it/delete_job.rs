//! `DELETE /jobs/{id}`.

use domain::{JobId, Outcome};
use reqwest::Method;

use crate::server::{Answer, Server};
use crate::work;

async fn delete(server: &Server, id: impl std::fmt::Display) -> Answer {
    Answer::of(server.request(Method::DELETE, &format!("/jobs/{id}"))).await
}

#[tokio::test]
async fn a_deleted_job_is_gone_and_says_so() {
    let server = Server::start().await;
    let finished = work::running(&server.jobs).await;
    server.jobs.succeed(&finished.lease, &work::result(Outcome::Changed, b"diff")).await.expect("succeed");
    let running = work::running(&server.jobs).await.id;
    let queued = work::submit(&server.jobs).await;
    for id in [finished.id, running, queued] {
        for _ in 0..2 {
            let answer = delete(&server, id).await;
            assert_eq!((answer.status, answer.body.len()), (204, 0));
        }
        let calls = [
            (Method::GET, ""),
            (Method::GET, "/diff"),
            (Method::GET, "/stages/plan"),
            (Method::POST, "/cancel"),
            (Method::POST, "/retry"),
        ];
        for (method, path) in calls {
            let answer = Answer::of(server.request(method, &format!("/jobs/{id}{path}"))).await;
            assert_eq!((answer.status, answer.problem()["code"].as_str()), (410, Some("purged")), "{path}");
        }
    }
    assert_eq!(server.get("/jobs").await.json()["data"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn what_is_no_job_cannot_be_deleted() {
    let server = Server::start().await;
    for id in [JobId::new().to_string(), "x".to_owned()] {
        assert_eq!(delete(&server, id).await.problem()["code"], "not_found");
    }
}

#[tokio::test]
async fn a_web_page_of_another_origin_cannot_delete() {
    let server = Server::start().await;
    let id = work::submit(&server.jobs).await;
    let request = server.request(Method::DELETE, &format!("/jobs/{id}")).header("origin", "https://evil.example");
    assert_eq!(Answer::of(request).await.problem()["code"], "cross_origin");
    assert_eq!(server.get(&format!("/jobs/{id}")).await.status, 200);
}
