//! `GET /queue/stats`: how much there is to do, for whoever decides how many workers there should be.

use axum::Json;
use axum::extract::State;

use crate::ApiState;
use crate::caller::{Caller, MetricsRead};
use crate::error::ApiError;
use crate::wire::QueueStatsBody;

/// Answers with the queue of all owners, as it was within the last second.
#[utoipa::path(
    get,
    path = "/queue/stats",
    tag = "metrics",
    summary = "How many jobs wait and how many workers are wanted",
    responses((status = 200, description = "The queue of all owners. Every number is there.", body = QueueStatsBody)),
    security(("key" = ["metrics:read"]))
)]
pub(crate) async fn get_queue_stats(
    State(state): State<ApiState>,
    _caller: Caller<MetricsRead>,
) -> Result<Json<QueueStatsBody>, ApiError> {
    Ok(Json(QueueStatsBody::new(&state.figures.get().await?.queue)))
}
