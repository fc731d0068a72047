//! `Prefer: wait=n`.

use std::time::{Duration, Instant};

use domain::{Failure, FailureCode, Outcome, StageKind};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::{Answer, Server};
use crate::work;

/// A wait that no test reaches the end of, and the time in which it must be over by then.
const LONG: (&str, Duration) = ("wait=50", Duration::from_secs(20));

fn create(server: &Server) -> RequestBuilder {
    server.request(Method::POST, "/analyze/").json(&json!({"repoUrl": "https://github.com/a/b", "prompt": "x"}))
}

/// Sends the request, lets `work` happen when its job is there, and gives the answer, which must not have waited in vain.
fn meanwhile<'a>(request: RequestBuilder, work: impl Future<Output = ()> + 'a) -> impl Future<Output = Answer> + 'a {
    // Boxed, as clients and servers make large futures.
    Box::pin(async move {
        let began = Instant::now();
        let (answer, ()) = tokio::join!(Answer::of(request), work);
        assert!(began.elapsed() < LONG.1, "{:?}", began.elapsed());
        answer
    })
}

/// Claims the job that the server gets meanwhile.
async fn claim_soon(server: &Server) -> jobs::ClaimedJob {
    let until = Instant::now() + LONG.1;
    loop {
        if let Some(job) = server.jobs.claim(&jobs::WorkerId::new("test")).await.expect("claim") {
            return job;
        }
        assert!(Instant::now() < until, "no job came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn succeed(server: &Server, outcome: Outcome, diff: &[u8]) {
    let job = claim_soon(server).await;
    work::save_stage(&server.jobs, &job.lease, StageKind::Sheet.into(), json!({})).await;
    server.jobs.succeed(&job.lease, &work::result(outcome, diff)).await.expect("succeed");
}

#[tokio::test]
async fn a_creation_that_waits_answers_with_the_finished_job() {
    let server = Server::start().await;
    let request = create(&server).header("prefer", LONG.0);
    let answer = meanwhile(request, succeed(&server, Outcome::Changed, b"diff --git a/x b/x\n")).await;
    assert_eq!((answer.status, answer.header("preference-applied")), (200, Some(LONG.0)));
    let body = answer.json();
    assert_eq!((&body["status"], &body["result"]["diff"]), (&json!("succeeded"), &json!("diff --git a/x b/x\n")));
    assert_eq!(answer.header("location"), body["links"]["self"].as_str());
}

/// The seed's call, one header away: its answer was the diff.
#[tokio::test]
async fn a_creation_that_waits_for_the_diff_answers_with_the_diff() {
    let server = Server::start().await;
    for (outcome, diff) in [(Outcome::Changed, &b"-caf\xe9\n"[..]), (Outcome::NoChangeNeeded, b"")] {
        let request = create(&server).header("prefer", "wait").header("accept", "text/x-diff, */*;q=0.1");
        let answer = meanwhile(request, succeed(&server, outcome, diff)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/x-diff")));
        assert_eq!((answer.header("preference-applied"), answer.body.as_slice()), (Some("wait=60"), diff));
        assert!(answer.header("location").is_some_and(|path| path.starts_with("/jobs/")));
    }
}

#[tokio::test]
async fn a_creation_that_waits_for_a_diff_hears_why_there_is_none() {
    let server = Server::start().await;
    let request = || create(&server).header("prefer", LONG.0).header("accept", "text/x-diff");
    let failure = Failure::new(FailureCode::RepoNotFound, "github.com answered 404");
    let fail = async {
        let job = claim_soon(&server).await;
        server.jobs.fail(&job.lease, &failure).await.expect("fail");
    };
    let failed = meanwhile(request(), fail).await;
    let problem = failed.problem();
    assert_eq!((failed.status, problem["code"].as_str()), (409, Some("no_diff")));
    assert_eq!(problem["detail"], "the job failed without a diff: repo_not_found: github.com answered 404");
    assert!(failed.header("location").is_some());

    let cancel = async {
        let job = claim_soon(&server).await;
        server.jobs.cancel(job.id).await.expect("cancel");
        server.jobs.confirm_cancel(&job.lease).await.expect("confirm");
    };
    assert_eq!(meanwhile(request(), cancel).await.problem()["code"], "no_diff");

    let delete = async {
        let job = claim_soon(&server).await;
        server.jobs.purge(None, job.id).await.expect("purge");
    };
    assert_eq!(meanwhile(request(), delete).await.problem()["code"], "purged");
}

#[tokio::test]
async fn a_job_that_takes_longer_is_answered_as_it_stands() {
    let server = Server::start().await;
    for accept in ["application/json", "text/x-diff"] {
        let answer = Answer::of(create(&server).header("prefer", "wait=0").header("accept", accept)).await;
        assert_eq!((answer.status, answer.header("preference-applied")), (202, Some("wait=0")));
        assert_eq!((answer.header("retry-after"), &answer.json()["status"]), (Some("2"), &json!("queued")));
        assert_eq!(answer.json()["version"], 1);
    }
    let answer = Answer::of(create(&server).header("prefer", "wait=soon")).await;
    assert_eq!((answer.status, answer.header("preference-applied")), (202, None));
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_its_job() {
    let server = Server::start().await;
    let request = create(&server).header("prefer", LONG.0).timeout(Duration::from_millis(300));
    assert!(request.send().await.expect_err("gave up").is_timeout());
    succeed(&server, Outcome::Changed, b"diff").await;
}

#[tokio::test]
async fn a_repeated_request_waits_for_the_same_job() {
    let server = Server::start().await;
    let named = |prefer: &'static str| create(&server).header("idempotency-key", "k").header("prefer", prefer);
    let first = Answer::of(named("wait=0")).await;
    let again = meanwhile(named(LONG.0), succeed(&server, Outcome::Changed, b"diff")).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, Some("true")));
    assert_eq!(again.json()["id"], first.json()["id"]);
}

#[tokio::test]
async fn a_long_poll_returns_with_the_next_version() {
    let server = Server::start().await;
    let job = work::running(&server.jobs).await;
    let path = format!("/jobs/{}", job.id);
    let etag = server.get(&path).await.header("etag").expect("a tag").to_owned();
    let poll = |etag: &str, prefer: &str| {
        server.request(Method::GET, &path).header("if-none-match", etag).header("prefer", prefer)
    };
    let unchanged = Answer::of(poll(&etag, "wait=0")).await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (304, Some(&*etag)));
    assert_eq!(unchanged.header("preference-applied"), Some("wait=0"));

    let change = async { work::save_stage(&server.jobs, &job.lease, StageKind::Sheet.into(), json!({})).await };
    let changed = meanwhile(poll(&etag, LONG.0), change).await;
    assert_eq!((changed.status, &changed.json()["status"]), (200, &json!("running")));
    assert_ne!(changed.header("etag"), Some(&*etag));
    let old = meanwhile(poll(&etag, LONG.0), async {}).await;
    assert_eq!((old.status, old.header("etag")), (200, changed.header("etag")));
}

#[tokio::test]
async fn a_poll_without_a_version_returns_with_the_end() {
    let server = Server::start().await;
    let id = work::submit(&server.jobs).await;
    for path in [format!("/jobs/{id}"), format!("/jobs/{id}/diff")] {
        let request = server.request(Method::GET, &path).header("prefer", LONG.0);
        let work = async {
            if path.ends_with(&id.to_string()) {
                succeed(&server, Outcome::Changed, b"diff").await;
            }
        };
        let answer = meanwhile(request, work).await;
        assert_eq!((answer.status, answer.header("preference-applied")), (200, Some(LONG.0)), "{path}");
    }
}

#[tokio::test]
async fn who_waits_is_answered_when_the_server_ends() {
    let server = Server::start().await;
    let stop = async {
        let until = Instant::now() + LONG.1;
        while server.get("/jobs").await.json()["data"] == Value::Array(Vec::new()) {
            assert!(Instant::now() < until, "no job came");
        }
        server.shutdown.cancel();
    };
    let answer = meanwhile(create(&server).header("prefer", LONG.0), stop).await;
    assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("queued")));
}
