//! `GET /healthz` and `GET /readyz`.

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
