//! `DELETE /keys/{id}`: withdraws a key for good.

use axum::extract::State;
use axum::http::StatusCode;
use domain::KeyId;

use crate::ApiState;
use crate::caller::{Admin, Caller};
use crate::error::ApiError;
use crate::path_of::PathOf;

/// Answers 204 once the key is worth nothing, also when it was so before. Other processes notice within a second.
#[utoipa::path(
    delete,
    path = "/keys/{id}",
    tag = "keys",
    summary = "Revoke an API key",
    params(("id" = Uuid, Path, description = "The key.")),
    responses((status = 204, description = "The key is worth nothing, now or before.")),
    security(("key" = ["admin"]))
)]
pub(crate) async fn revoke_key(
    State(state): State<ApiState>,
    _caller: Caller<Admin>,
    PathOf(id): PathOf<String>,
) -> Result<StatusCode, ApiError> {
    let id: KeyId = id.parse().map_err(|_| NO_SUCH_KEY)?;
    if !state.jobs.revoke_key(id).await? {
        return Err(NO_SUCH_KEY);
    }
    state.keys.forget(id);
    tracing::info!(key.id = %id, "Revoked key {id}");
    Ok(StatusCode::NO_CONTENT)
}

const NO_SUCH_KEY: ApiError = ApiError::NotFound("there is no such key");
