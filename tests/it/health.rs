//! `tinygen health`, which container health checks run.

use crate::app::{World, diligent};
use crate::cluster::Cluster;
use serde_json::{Value, json};
use standin::claude::{Reply, RequestView};

async fn health(world: &World, listen: &str) -> Option<i32> {
    let output = world.program().arg("health").env("TINYGEN_LISTEN", listen).output().await.expect("it starts");
    output.status.code()
}

#[tokio::test]
async fn says_by_its_exit_code_whether_the_api_is_ready() {
    let world = World::new(|_: &RequestView| Reply::empty()).await;
    let server = world.serve().await;
    let address = server.url.strip_prefix("http://").expect("a URL").to_owned();
    let everywhere = address.replace("127.0.0.1", "0.0.0.0");
    assert_eq!(health(&world, &address).await, Some(0));
    assert_eq!(health(&world, &everywhere).await, Some(0));
    server.kill().await;
    assert_eq!(health(&world, &address).await, Some(1));
}

#[tokio::test]
async fn a_server_that_is_not_ready_is_not_healthy() {
    let world = World::new(|_: &RequestView| Reply::empty()).await;
    // Something listens, but knows no `/readyz`.
    let stranger = world.git.url("greet");
    let address = stranger.trim_start_matches("http://").split('/').next().expect("an address");
    assert_eq!(health(&world, address).await, Some(1));
}

#[tokio::test]
async fn a_worker_says_how_it_is_and_what_it_misses() {
    let Some(mut cluster) = Cluster::start(diligent).await else { return };
    cluster.migrate().await;
    let listen = free_address().await;
    let worker = cluster.worker_at(&listen).await;
    let readiness = async || -> (u16, Value) {
        let answer = reqwest::get(format!("http://{listen}/readyz")).await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    };
    let healthy = json!({"status": "ok", "checks": {"store": "ok", "redis": "ok", "worker": "ok", "model": "ok"}});
    assert_eq!(readiness().await, (200, healthy));
    assert_eq!(reqwest::get(format!("http://{listen}/jobs/1")).await.expect("an answer").status(), 404, "no API");
    let health = async || {
        let mut program = cluster.world.program();
        program.args(["health", "worker"]).env("TINYGEN_WORKER_LISTEN", &listen).output().await.expect("it starts")
    };
    assert!(health().await.status.success());

    cluster.redis.stop().await;
    let degraded =
        json!({"status": "ok", "checks": {"store": "ok", "redis": "degraded", "worker": "ok", "model": "ok"}});
    assert_eq!(readiness().await, (200, degraded), "Redis is only the bell");

    cluster.postgres.cut().await;
    let (status, body) = readiness().await;
    assert_eq!((status, &body["checks"]["store"]), (503, &json!("failed")));
    let unhealthy = health().await;
    assert_eq!(unhealthy.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unhealthy.stderr).contains("unavailable"));

    cluster.postgres.mend().await;
    worker.terminate().await;
    cluster.remove().await;
}

/// One that nobody listens on now.
async fn free_address() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").to_string()
}
