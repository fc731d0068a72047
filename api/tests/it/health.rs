//! `GET /healthz` and `GET /readyz`.

use api::WorkerHealth;
use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn a_server_with_its_store_is_alive_and_ready() {
    let server = Server::start().await;
    let (alive, ready) = (server.get("/healthz").await, server.get("/readyz").await);
    assert_eq!((alive.status, alive.json()), (200, json!({"status": "ok"})));
    assert_eq!((ready.status, ready.json()), (200, json!({"status": "ok", "checks": {"store": "ok"}})));
}

#[tokio::test]
async fn a_server_before_its_migrations_is_alive_but_not_ready() {
    let server = Server::start_without_tables().await;
    assert_eq!(server.get("/healthz").await.status, 200);
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status, ready.json()), (503, json!({"status": "unavailable", "checks": {"store": "outdated"}})));
}

#[tokio::test]
async fn a_worker_beside_it_is_told_of() {
    for (worker, status, told) in [
        (WorkerHealth::default(), 200, json!({"store": "ok", "worker": "ok", "model": "ok"})),
        (
            WorkerHealth { is_refused_by_model: true, ..WorkerHealth::default() },
            200,
            json!({"store": "ok", "worker": "ok", "model": "refused"}),
        ),
        (
            WorkerHealth { stalled: Some("the search for the next job"), ..WorkerHealth::default() },
            503,
            json!({"store": "ok", "worker": "the search for the next job", "model": "ok"}),
        ),
    ] {
        let server = Server::start_beside(worker).await;
        let ready = server.get("/readyz").await;
        assert_eq!((ready.status, &ready.json()["checks"]), (status, &told));
        assert_eq!(server.get("/healthz").await.status, status, "it needs a restart when it stands still");
    }
}
