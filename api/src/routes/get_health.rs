//! `GET /healthz` and `GET /readyz`: whether the process lives, and whether it can do its work.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::JobId;
use jobs::Jobs;
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
    if is_store_ready(&state.jobs).await {
        (StatusCode::OK, Json(Health { status: "ok", checks: Some(Checks { store: "ok" }) }))
    } else {
        let checks = Checks { store: "failed" };
        (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "unavailable", checks: Some(checks) }))
    }
}

/// Looks up a job that cannot exist: that takes a connection, the database and its tables, and moves no data.
async fn is_store_ready(jobs: &Jobs) -> bool {
    match timeout(PING_TIMEOUT, jobs.get(JobId::new())).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "The job store does not answer");
            false
        }
        Err(_) => {
            tracing::warn!("The job store did not answer within {} s", PING_TIMEOUT.as_secs());
            false
        }
    }
}
