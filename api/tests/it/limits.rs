//! Rates and quotas, and how answers tell of them.

use domain::{Cost, KeyScope};
use jobs::{KeyDraft, LimitOverrides, Limits, Policy, Quota};
use serde_json::{Value, json};

use crate::server::{Answer, Server, draft};
use crate::work;

fn seed() -> Value {
    json!({"repoUrl": "https://github.com/jayhack/llm.sh", "prompt": "Say hello"})
}

async fn key_with(server: &Server, owner: &str, limits: LimitOverrides) -> String {
    server.key(KeyDraft { limits, ..draft(owner, &KeyScope::DEFAULT) }).await.1
}

/// Checks that an answer refuses for this reason; gives when to ask again, in seconds.
fn refused(answer: &Answer, code: &str, policy: &str) -> u64 {
    assert_eq!(answer.status, 429, "{}", String::from_utf8_lossy(&answer.body));
    let problem = answer.problem();
    assert_eq!((&problem["code"], &problem["violated-policies"]), (&json!(code), &json!([policy])));
    assert_eq!(problem["retryable"], true);
    answer.header("retry-after").expect("a time").parse().expect("seconds")
}

#[tokio::test]
async fn answers_say_what_is_left_and_the_last_one_when_there_is_more() {
    let server = Server::start().await;
    let key = server.key_of("a").await;
    // At once: after a second there is one more.
    let seed = seed();
    let (one, other) =
        tokio::join!(server.post_with(&key, "/analyze/", &seed), server.post_with(&key, "/analyze/", &seed));
    for answer in [&one, &other] {
        assert_eq!((answer.status, answer.header("ratelimit-policy")), (202, Some("\"create\";q=60;w=60")));
    }
    let mut standings = [one.header("ratelimit"), other.header("ratelimit")];
    standings.sort_unstable();
    assert_eq!(standings, [Some("\"create\";r=58;t=2"), Some("\"create\";r=59;t=1")]);
    let looked = server.get_with(&key, "/jobs/1").await;
    assert_eq!(looked.header("ratelimit-policy"), Some("\"requests\";q=1200;w=60"));
    assert_eq!(looked.header("ratelimit"), Some("\"requests\";r=1199;t=1"));
}

#[tokio::test]
async fn one_request_too_many_is_refused_and_other_keys_are_not() {
    let server = Server::start_with(Limits { creations_per_minute: 2, ..Limits::default() }).await;
    let (key, other) = (server.key_of("a").await, server.key_of("a").await);
    for _ in 0..2 {
        assert_eq!(server.post_with(&key, "/analyze/", &seed()).await.status, 202);
    }
    let answer = server.post_with(&key, "/analyze/", &seed()).await;
    assert!((1..=30).contains(&refused(&answer, "rate_limited", "create")), "one every 30 s");
    assert_eq!(answer.header("ratelimit"), Some("\"create\";r=0;t=60"));
    assert_eq!(server.get_with(&key, "/jobs/1").await.status, 404, "looking goes by another rate");
    assert_eq!(server.post_with(&other, "/analyze/", &seed()).await.status, 202);
    let unbounded = LimitOverrides { creations_per_minute: Some(0), ..LimitOverrides::default() };
    let unbounded = key_with(&server, "a", unbounded).await;
    for _ in 0..4 {
        let answer = server.post_with(&unbounded, "/analyze/", &seed()).await;
        assert_eq!((answer.status, answer.header("ratelimit")), (202, None));
    }
}

#[tokio::test]
async fn jobs_a_day_are_the_owners_whichever_key_makes_them() {
    let server = Server::start().await;
    let limits = LimitOverrides { jobs_per_day: Some(2), ..LimitOverrides::default() };
    let keys = [key_with(&server, "a", limits).await, key_with(&server, "a", limits).await];
    for key in &keys {
        assert_eq!(server.post_with(key, "/analyze/", &seed()).await.status, 202);
    }
    for key in &keys {
        let answer = server.post_with(key, "/analyze/", &seed()).await;
        let tomorrow = refused(&answer, "quota_exceeded", "jobs-per-day");
        assert!((1..=86_400).contains(&tomorrow));
        let policies: Vec<&str> =
            answer.headers.get_all("ratelimit-policy").iter().map(|v| v.to_str().expect("text")).collect();
        assert_eq!(policies, ["\"jobs-per-day\";q=2;w=86400", "\"create\";q=60;w=60"]);
        let standing = answer.headers["ratelimit"].to_str().expect("text");
        assert_eq!(standing, format!("\"jobs-per-day\";r=0;t={tomorrow}"));
    }
    assert_eq!(server.post_with(&server.key_of("b").await, "/analyze/", &seed()).await.status, 202);
}

#[tokio::test]
async fn what_jobs_have_cost_today_stops_new_ones_and_retries() {
    let server = Server::start().await;
    let limits = LimitOverrides { cost_per_day: Some(Cost::from_nanos(1)), ..LimitOverrides::default() };
    let key = key_with(&server, "a", limits).await;
    let accepted = server.post_with(&key, "/analyze/", &seed()).await;
    let job = work::claim(&server.jobs).await;
    work::call(&server.jobs, &job.lease, domain::StageKind::Plan.into()).await;
    server.jobs.succeed(&job.lease, &work::result(domain::Outcome::Changed, b"x\n")).await.expect("succeed");
    refused(&server.post_with(&key, "/analyze/", &seed()).await, "quota_exceeded", "usd-per-day");
    let path = format!("{}/retry", accepted.header("location").expect("an address"));
    refused(&server.post_with(&key, &path, &json!({})).await, "quota_exceeded", "usd-per-day");
    let job = server.get_with(&key, accepted.header("location").expect("an address")).await.json();
    assert_eq!(job["status"], "succeeded", "what there is stays");
}

#[tokio::test]
async fn a_full_queue_is_the_owners_or_everybodys() {
    let quota = Quota { queued_jobs: 1, ..Limits::default().quota };
    let server = Server::start_with(Limits { quota, ..Limits::default() }).await;
    let key = server.key_of("a").await;
    assert_eq!(server.post_with(&key, "/analyze/", &seed()).await.status, 202);
    assert_eq!(refused(&server.post_with(&key, "/analyze/", &seed()).await, "queue_full", "queued-jobs"), 60);
    work::claim(&server.jobs).await;
    assert_eq!(server.post_with(&key, "/analyze/", &seed()).await.status, 202);

    let server = Server::start_under(Policy { max_waiting_jobs: 2, ..Policy::default() }).await;
    for _ in 0..2 {
        assert_eq!(server.create(&seed()).await.status, 202);
    }
    refused(&server.create(&seed()).await, "queue_full", "waiting-jobs");
}
