//! `GET /keys`: every key there is, without its secret.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::ApiState;
use crate::caller::{Admin, Caller};
use crate::error::ApiError;
use crate::wire::KeyBody;

/// All keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    data: Vec<KeyBody>,
}

/// Answers with all keys, the oldest first, also with those that are worth nothing any more.
#[utoipa::path(
    get,
    path = "/keys",
    tag = "keys",
    summary = "List all API keys",
    responses(
        (
            status = 200,
            description = "All keys, the oldest first, also those that are worth nothing any more.",
            body = KeyList,
        ),
    ),
    security(("key" = ["admin"]))
)]
pub(crate) async fn list_keys(
    State(state): State<ApiState>,
    _caller: Caller<Admin>,
) -> Result<Json<KeyList>, ApiError> {
    let keys = state.jobs.keys().await?;
    Ok(Json(KeyList { data: keys.into_iter().map(KeyBody::from).collect() }))
}
