//! A network that swallows what Postgres says, and tells nobody: requests are answered all the same.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::app::{Server, diligent};
use crate::chaos::tap::{Aim, Tap, Trouble};
use crate::chaos::wire::Unseen;
use crate::cluster::Cluster;

/// Longest wait for what must come: twice the time in which a request is answered whatever the database does.
const PATIENCE: Duration = Duration::from_mins(1);
/// All that a process has to Postgres.
const CONNECTIONS: i64 = 8;

#[tokio::test]
async fn requests_are_answered_when_postgres_falls_silent_and_watchers_wait() {
    let Some(cluster) = Cluster::start(diligent).await else { return };
    cluster.migrate().await;
    let tap = Tap::open::<Unseen>(cluster.postgres.address(), Aim::at(None)).await;
    let api = cluster.api_through(tap.port).await;
    let id = api.submit(&cluster.world.repo_url).await["id"].clone();
    let path = format!("/jobs/{}", id.as_str().expect("an id"));
    let mut stream =
        get(&api, &format!("{path}/events")).header("accept", "text/event-stream").send().await.expect("200");
    read_until(&mut stream, "job.queued").await;
    let waiting = tokio::spawn(get(&api, &path).header("prefer", "wait=60").send());
    // What it asks last before it waits.
    let looked = "pg_stat_activity WHERE state = 'idle' AND query = 'SELECT version FROM jobs WHERE id = $1'";
    until_count(&cluster, 1, looked).await;

    // The silence begins while Postgres has been asked and cannot answer yet.
    let mut lock = cluster.connect().await;
    execute(&mut lock, &format!("BEGIN; LOCK TABLE {}.jobs IN ACCESS EXCLUSIVE MODE", cluster.schema)).await;
    let post = || {
        let body = json!({"repoUrl": cluster.world.repo_url, "prompt": "It says Helo. Make it say Hello."});
        api.client.post(format!("{}/analyze/", api.url)).header("idempotency-key", "once").json(&body)
    };
    let cancel = || api.client.post(format!("{}{path}/cancel", api.url));
    let mut requests = JoinSet::new();
    for request in [post(), cancel(), get(&api, "/jobs")].into_iter().chain((0..CONNECTIONS).map(|_| get(&api, &path)))
    {
        requests.spawn(request.timeout(PATIENCE).send());
    }
    let locks = format!("pg_locks WHERE NOT granted AND relation = '{}.jobs'::regclass", cluster.schema);
    until_count(&cluster, CONNECTIONS, &locks).await;
    tap.trouble(Some(Trouble::Blackhole));
    execute(&mut lock, "ROLLBACK").await;
    assert_eq!(get(&api, "/readyz").timeout(PATIENCE).send().await.expect("an answer").status(), 503);
    while let Some(answer) = requests.join_next().await {
        must_be_refused(answer.expect("sent").expect("an answer")).await;
    }
    must_be_refused(get(&api, &path).timeout(PATIENCE).send().await.expect("an answer")).await;

    // The connections of before stay dead: none of them is used again, or keeps its place.
    tap.trouble(None);
    for _ in 0..10 {
        assert_eq!(get(&api, &path).send().await.expect("an answer").status(), 200);
    }
    assert_eq!(post().send().await.expect("an answer").status(), 202);
    let listed: Value = get(&api, "/jobs").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(2), "the request that was repeated made one job");
    assert_eq!(cancel().send().await.expect("an answer").status(), 200);
    read_until(&mut stream, "job.canceled").await;
    let waited = timeout(PATIENCE, waiting).await.expect("in time").expect("sent").expect("an answer");
    assert_eq!(waited.status(), 200, "who waits for a job is not cut off");
    api.terminate().await;
    cluster.remove().await;
}

fn get(api: &Server, path: &str) -> RequestBuilder {
    api.client.get(format!("{}{path}", api.url))
}

async fn must_be_refused(answer: Response) {
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!(problem["code"], "storage_unavailable");
}

/// Reads a stream of events until one of this type.
async fn read_until(stream: &mut Response, kind: &str) {
    let line = format!("event: {kind}\n");
    let mut read = String::new();
    let reading = async {
        while !read.contains(&line) {
            let piece = stream.chunk().await.expect("readable").unwrap_or_else(|| panic!("it ended: {read}"));
            read.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("no `{kind}` comes"));
}

/// Waits until this many rows are there.
async fn until_count(cluster: &Cluster, count: i64, rows: &str) {
    let mut connection = cluster.connect().await;
    let sql = format!("SELECT COUNT(*) FROM {rows}");
    let there = async {
        while sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql.clone()))
            .fetch_one(&mut connection)
            .await
            .expect("a count")
            < count
        {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, there).await.unwrap_or_else(|_| panic!("there are never {count} of {rows}"));
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.expect("it may");
}
