//! `GET /metrics`: what is counted, as Prometheus reads it.

use std::error::Error;

use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;

use crate::ApiState;
use crate::caller::{Caller, MetricsRead};
use crate::state::MAX_STREAMS;
use crate::tally;

/// The exposition format of Prometheus.
const CONTENT_TYPE: (HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");

/// Answers with what this process has counted, and with the queue as it stands, if that can be read.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "metrics",
    summary = "What is counted, for Prometheus",
    responses((
        status = 200,
        description = "The figures of this process, and of the queue, in the exposition format 0.0.4.",
        body = String,
        content_type = "text/plain",
    )),
    security(("key" = ["metrics:read"]))
)]
pub(crate) async fn get_metrics(State(state): State<ApiState>, _caller: Caller<MetricsRead>) -> impl IntoResponse {
    let figures = state.figures.get().await;
    if let Err(error) = &figures {
        tracing::warn!(error = error as &dyn Error, "Cannot count what is in the queue");
    }
    tally::scraped(MAX_STREAMS - state.streams.available_permits(), figures.ok().as_ref());
    ([CONTENT_TYPE], (state.metrics)())
}

/// The same in a process that works on jobs and serves no API, for everybody who reaches it and without the queue: it
/// has no keys to ask for, and tells only of itself.
pub(crate) async fn get_worker_metrics(State(state): State<ApiState>) -> impl IntoResponse {
    ([CONTENT_TYPE], (state.metrics)())
}
