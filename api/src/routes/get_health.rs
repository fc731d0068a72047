//! `GET /healthz` and `GET /readyz`: whether the process lives, and whether it can do its work.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::JobId;
use serde::Serialize;
use tokio::time::timeout;

use crate::ApiState;

/// Longest wait for the store to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// What a probe reads.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
}

/// What the server needs.
#[derive(Debug, Serialize)]
struct Checks {
    store: &'static str,
}

/// Answers as long as the process turns; does no I/O.
pub(crate) async fn get_liveness() -> Json<Health> {
    Json(Health { status: "ok", checks: None })
}

/// Answers 200 when the store does, else 503.
pub(crate) async fn get_readiness(State(state): State<ApiState>) -> (StatusCode, Json<Health>) {
    // A job that cannot exist: the look-up goes through a connection, the database and its tables, and moves no data.
    let failure = match timeout(PING_TIMEOUT, state.jobs.get(JobId::new())).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {} s", PING_TIMEOUT.as_secs())),
    };
    let Some(reason) = failure else {
        return (StatusCode::OK, Json(Health { status: "ok", checks: Some(Checks { store: "ok" }) }));
    };
    tracing::warn!(reason, "The job store does not answer");
    (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "unavailable", checks: Some(Checks { store: "failed" }) }))
}
