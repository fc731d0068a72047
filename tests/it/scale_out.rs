//! `tinygen api` and `tinygen worker` on one Postgres and one Redis, with every process and both services lost in turn.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::app::{Server, World, diligent};
use crate::cluster::Cluster;
use crate::serve::silent_at;

/// Below it, nothing can have waited for a lease to run out.
const LEASE: Duration = Duration::from_secs(15);
/// Within it, the job of a lost worker goes on: a lease and a sweep, and what a busy machine adds.
const RECOVERY: Duration = Duration::from_secs(25);

#[tokio::test]
async fn jobs_are_done_by_any_number_of_workers() {
    let Some(cluster) = Cluster::start(diligent).await else { return };
    cluster.migrate().await;
    let (api, workers) = (cluster.api().await, [cluster.worker().await, cluster.worker().await]);
    let ids = submit(&cluster, &api, 10).await;
    all_succeed(&api, &ids).await;
    assert_eq!(cluster.world.generations(), 3 * ids.len(), "no pass was paid twice");
    assert_eq!(cluster.redis.command(&["DBSIZE"]).await, "0", "nothing stays in Redis");
    for worker in workers {
        worker.terminate().await;
    }
    api.terminate().await;
    cluster.remove().await;
}

#[tokio::test]
async fn serve_prepares_the_database_and_is_both_halves() {
    let Some(cluster) = Cluster::start(diligent).await else { return };
    let (first, second) = (cluster.serve().await, cluster.serve().await);
    let ids = submit(&cluster, &first, 4).await;
    all_succeed(&second, &ids).await;
    first.terminate().await;
    second.terminate().await;
    cluster.remove().await;
}

#[tokio::test]
async fn the_job_of_a_killed_worker_is_finished_by_another() {
    let Some(cluster) = Cluster::start(silent_at(1).0).await else { return };
    cluster.migrate().await;
    let (api, first) = (cluster.api().await, cluster.worker().await);
    let ids = submit(&cluster, &api, 1).await;
    cluster.world.claude.arrived(2).await;
    let second = cluster.worker().await;
    let killed = Instant::now();
    first.kill().await;
    let job = &all_succeed(&api, &ids).await[0];
    assert!(killed.elapsed() < RECOVERY, "{:?}", killed.elapsed());
    assert_eq!(job["attempt"], json!(1), "a lost worker does not use up an attempt");
    assert_eq!(cluster.world.generations(), 4, "three passes, and the one request that was in flight");
    second.terminate().await;
    api.terminate().await;
    cluster.remove().await;
}

#[tokio::test]
async fn the_job_of_a_stopped_worker_goes_on_at_once() {
    let Some(cluster) = Cluster::start(silent_at(1).0).await else { return };
    cluster.migrate().await;
    let (api, first) = (cluster.api().await, cluster.worker().await);
    let ids = submit(&cluster, &api, 1).await;
    cluster.world.claude.arrived(2).await;
    let second = cluster.worker().await;
    let stopped = Instant::now();
    first.terminate().await;
    let job = &all_succeed(&api, &ids).await[0];
    assert!(stopped.elapsed() < LEASE, "{:?}", stopped.elapsed());
    assert_eq!(job["attempt"], json!(1), "a shutdown does not use up an attempt");
    assert_eq!(cluster.world.generations(), 4);
    second.terminate().await;
    api.terminate().await;
    cluster.remove().await;
}

#[tokio::test]
async fn jobs_are_accepted_and_done_whatever_redis_does() {
    let Some(mut cluster) = Cluster::start(diligent).await else { return };
    cluster.migrate().await;
    // Away at the start.
    cluster.redis.kill().await;
    let (api, workers) = (cluster.api().await, [cluster.worker().await, cluster.worker().await]);
    let ids = submit(&cluster, &api, 3).await;
    all_succeed(&api, &ids).await;
    // Back, and empty.
    cluster.redis.restart().await;
    let mut ids = submit(&cluster, &api, 2).await;
    cluster.redis.command(&["FLUSHALL"]).await;
    all_succeed(&api, &ids).await;
    // Killed with jobs on the way.
    ids = submit(&cluster, &api, 2).await;
    cluster.redis.kill().await;
    ids.extend(submit(&cluster, &api, 2).await);
    all_succeed(&api, &ids).await;
    // Locked for a while.
    cluster.redis.restart().await;
    cluster.redis.command(&["CONFIG", "SET", "requirepass", "changed"]).await;
    all_succeed(&api, &submit(&cluster, &api, 2).await).await;
    cluster.redis.command(&["-a", "changed", "--no-auth-warning", "CONFIG", "SET", "requirepass", ""]).await;
    all_succeed(&api, &submit(&cluster, &api, 2).await).await;
    // Hanging, its connections open.
    cluster.redis.stop().await;
    all_succeed(&api, &submit(&cluster, &api, 2).await).await;
    cluster.redis.go_on().await;
    for worker in workers {
        worker.terminate().await;
    }
    api.terminate().await;
    cluster.remove().await;
}

#[tokio::test]
async fn nothing_is_accepted_without_a_database_and_work_goes_on_with_it() {
    let (script, _silent) = silent_at(1);
    let Some(mut cluster) = Cluster::start(script).await else { return };
    cluster.migrate().await;
    let (api, worker) = (cluster.api().await, cluster.worker().await);
    let running = submit(&cluster, &api, 1).await;
    cluster.world.claude.arrived(2).await;

    cluster.postgres.cut().await;
    let body = json!({"repoUrl": cluster.world.repo_url, "prompt": "It says Helo. Make it say Hello."});
    let request = api.client.post(format!("{}/analyze/", api.url)).json(&body);
    let refused = request.send().await.expect("an answer");
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    // Starts while the database is away, and waits for it.
    let waiting = cluster.waiting_worker().await;

    cluster.postgres.mend().await;
    let ids = submit(&cluster, &api, 2).await;
    all_succeed(&api, &ids).await;
    // The one that waits for the model is another worker's when this one stops.
    worker.terminate().await;
    all_succeed(&api, &running).await;
    waiting.terminate().await;
    api.terminate().await;
    cluster.remove().await;
}

#[tokio::test]
async fn a_database_that_is_not_migrated_is_refused() {
    let Some(cluster) = Cluster::start(diligent).await else { return };
    for command in ["api", "worker"] {
        let output = cluster.output(command).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("tinygen migrate"), "{output:?}");
    }
    cluster.remove().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_shared_is_refused() {
    let world = World::new(diligent).await;
    for command in ["api", "worker"] {
        for variables in [vec![], vec![("REDIS_URL", "redis://localhost")], vec![("DATABASE_URL", "postgres://a/b")]] {
            let output = world.program().arg(command).envs(variables).output().await.expect("the program starts");
            assert_eq!(output.status.code(), Some(1));
            assert!(String::from_utf8_lossy(&output.stderr).contains("DATABASE_URL=postgres://"), "{output:?}");
        }
    }
}

async fn submit(cluster: &Cluster, api: &Server, count: usize) -> Vec<Value> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(api.submit(&cluster.world.repo_url).await["id"].clone());
    }
    ids
}

async fn all_succeed(api: &Server, ids: &[Value]) -> Vec<Value> {
    let mut jobs = Vec::new();
    for id in ids {
        let job = api.wait(id).await;
        assert_eq!(job["status"], "succeeded", "{job:#}");
        jobs.push(job);
    }
    jobs
}
