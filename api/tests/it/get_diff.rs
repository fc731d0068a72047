//! `GET /jobs/{id}/diff`.

use domain::{Failure, FailureCode, Outcome};
use serde_json::json;

use crate::server::Server;
use crate::work;

#[tokio::test]
async fn the_diff_comes_as_the_bytes_it_is() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    let path = format!("/jobs/{}/diff", job.id);
    let early = server.get(&path).await;
    assert_eq!((early.status, early.header("retry-after")), (202, Some("2")));
    assert_eq!(early.json()["status"], "running");

    let diff = b"diff --git a/x b/x\r\n-caf\xe9\n+\xff\n\\ No newline at end of file\n";
    server.jobs.succeed(&job.lease, &work::result(Outcome::Changed, diff)).await.expect("succeed");
    let answer = server.get(&path).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/x-diff")));
    assert_eq!(answer.header("content-disposition"), Some(&*format!("inline; filename=\"{}.diff\"", job.id)));
    assert_eq!(answer.body, diff);
}

#[tokio::test]
async fn a_waiting_job_has_no_diff_yet() {
    let server = Server::start().await;
    let id = work::submit(&server.jobs).await;
    let answer = server.get(&format!("/jobs/{id}/diff")).await;
    assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("queued")));
}

#[tokio::test]
async fn no_change_needed_is_an_empty_diff() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    server.jobs.succeed(&job.lease, &work::result(Outcome::NoChangeNeeded, b"")).await.expect("succeed");
    let answer = server.get(&format!("/jobs/{}/diff", job.id)).await;
    assert_eq!((answer.status, answer.header("content-type"), answer.body.len()), (200, Some("text/x-diff"), 0));
    let result = server.get(&format!("/jobs/{}", job.id)).await.json()["result"].take();
    assert_eq!((&result["outcome"], &result["diff"]), (&json!("no_change_needed"), &json!("")));
}

#[tokio::test]
async fn a_job_that_ended_without_a_diff_never_has_one() {
    let server = Server::start().await;
    let failed = work::running(&server.jobs).await;
    let failure = Failure::new(FailureCode::RepoEmpty, "the repository has no commit");
    server.jobs.fail(&failed.lease, &failure).await.expect("fail");
    let canceled = work::submit(&server.jobs).await;
    server.jobs.cancel(canceled).await.expect("cancel");
    for (id, word) in [(failed.id, "failed"), (canceled, "canceled")] {
        let answer = server.get(&format!("/jobs/{id}/diff")).await;
        let problem = answer.problem();
        assert_eq!((answer.status, problem["code"].as_str()), (409, Some("no_diff")), "{word}");
        assert_eq!(problem["detail"], format!("the job {word} without a diff"));
        assert_eq!(problem["instance"], format!("/jobs/{id}/diff"));
    }
}
