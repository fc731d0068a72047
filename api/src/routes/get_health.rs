//! `GET /healthz` and `GET /readyz`: whether the process lives, and whether it can do its work.

use std::error::Error;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jobs::Jobs;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::{ApiState, WorkerHealth};

/// Longest wait for the store to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// What a probe reads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, `unavailable` or `stalled`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    checks: Option<Checks>,
}

/// What the process needs.
#[derive(Debug, Serialize, ToSchema)]
struct Checks {
    /// The database: `ok`, `failed`, or `outdated` when its tables are older than this program.
    store: &'static str,
    /// Redis, when it is used: `ok`, or `degraded` when it does not answer. Jobs then start within seconds, not at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    redis: Option<&'static str>,
    /// The worker of this process, when it has one: `ok`, or what stands still in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    worker: Option<&'static str>,
    /// The model service, in a process that has a worker: `ok` unless it is known to refuse the key or the account:
    /// `refused`. Jobs then wait, and one now and then tries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    model: Option<&'static str>,
}

/// Answers 200 as long as the process turns, and its worker if it has one; else 503: it needs a restart. Does no I/O.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "health",
    summary = "Whether the process turns",
    responses(
        (status = 200, description = "It does.", body = Health),
        (status = 503, description = "Its worker stands still: it needs a restart.", body = Health),
    )
)]
pub(crate) async fn get_liveness(State(state): State<ApiState>) -> (StatusCode, Json<Health>) {
    match look_at_worker(&state).and_then(|worker| worker.stalled) {
        None => (StatusCode::OK, Json(Health { status: "ok", checks: None })),
        Some(part) => {
            tracing::error!(part, "The worker has stood still for 30 s; it needs a restart");
            (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "stalled", checks: None }))
        }
    }
}

/// Answers 200 when the store is there and up to date, and the worker turns if there is one, else 503.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    summary = "Whether the process can do its work",
    responses(
        (status = 200, description = "It can.", body = Health),
        (status = 503, description = "It cannot now; `checks` says why.", body = Health),
    )
)]
pub(crate) async fn get_readiness(State(state): State<ApiState>) -> (StatusCode, Json<Health>) {
    let worker = look_at_worker(&state);
    let (store, redis) = tokio::join!(look_at_store(&state.jobs), state.jobs.redis_answers());
    let checks = Checks {
        store,
        redis: redis.map(|answers| if answers { "ok" } else { "degraded" }),
        worker: worker.map(|worker| worker.stalled.unwrap_or("ok")),
        model: worker.map(|worker| if worker.is_refused_by_model { "refused" } else { "ok" }),
    };
    if store == "ok" && worker.is_none_or(|worker| worker.stalled.is_none()) {
        (StatusCode::OK, Json(Health { status: "ok", checks: Some(checks) }))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "unavailable", checks: Some(checks) }))
    }
}

fn look_at_worker(state: &ApiState) -> Option<WorkerHealth> {
    state.worker.as_ref().map(|look| look())
}

async fn look_at_store(jobs: &Jobs) -> &'static str {
    match timeout(PING_TIMEOUT, jobs.is_migrated()).await {
        Ok(Ok(true)) => "ok",
        Ok(Ok(false)) => "outdated",
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn Error, "The job store does not answer");
            "failed"
        }
        Err(_) => {
            tracing::warn!("The job store did not answer within {} s", PING_TIMEOUT.as_secs());
            "failed"
        }
    }
}
