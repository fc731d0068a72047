//! `POST /webhooks/{id}/rotate-secret`, and the default secret of an owner, which signs what jobs' own webhooks get.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::{NO_SUCH_WEBHOOK, read_webhook_id};
use crate::ApiState;
use crate::caller::{Caller, WebhooksWrite};
use crate::error::ApiError;
use crate::path_of::PathOf;
use crate::wire::SecretBody;

/// Answers with the new secret, this one time; the old one is valid for another day.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/rotate-secret",
    tag = "webhooks",
    summary = "Replace the secret of a webhook",
    params(("id" = Uuid, Path, description = "The webhook.")),
    responses(
        (
            status = 200,
            description = "The new secret, shown this once; the old one is valid for another day.",
            body = SecretBody,
            headers(("Cache-Control" = String, description = "`no-store`.")),
        ),
    ),
    security(("key" = ["webhooks:write"]))
)]
pub(super) async fn rotate_secret(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
    PathOf(id): PathOf<String>,
) -> Result<impl IntoResponse, ApiError> {
    let rotated = state.jobs.rotate_webhook_secret(caller.owner(), read_webhook_id(&id)?).await?;
    let rotated = rotated.ok_or(NO_SUCH_WEBHOOK)?;
    tracing::info!(webhook.id = id, "Rotated the secret of webhook {id}");
    Ok(unstored(SecretBody::from_rotation(&rotated)))
}

/// Answers with the newest default secret; it is made when first asked for.
#[utoipa::path(
    get,
    path = "/webhooks/default/secret",
    tag = "webhooks",
    summary = "Get the secret of the webhooks that jobs bring along",
    responses(
        (
            status = 200,
            description = "The secret; it is made when first asked for.",
            body = SecretBody,
            headers(("Cache-Control" = String, description = "`no-store`.")),
        ),
    ),
    security(("key" = ["webhooks:write"]))
)]
pub(super) async fn get_default_secret(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
) -> Result<impl IntoResponse, ApiError> {
    Ok(unstored(SecretBody::new(&state.jobs.default_webhook_secret(caller.owner()).await?)))
}

/// Answers with the new default secret; the old one is valid for another day.
#[utoipa::path(
    post,
    path = "/webhooks/default/rotate-secret",
    tag = "webhooks",
    summary = "Replace the secret of the webhooks that jobs bring along",
    responses(
        (
            status = 200,
            description = "The new secret; the old one is valid for another day.",
            body = SecretBody,
            headers(("Cache-Control" = String, description = "`no-store`.")),
        ),
    ),
    security(("key" = ["webhooks:write"]))
)]
pub(super) async fn rotate_default_secret(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
) -> Result<impl IntoResponse, ApiError> {
    let rotated = state.jobs.rotate_default_webhook_secret(caller.owner()).await?;
    Ok(unstored(SecretBody::from_rotation(&rotated)))
}

/// No cache on the way keeps a secret.
fn unstored(body: SecretBody) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(body))
}
