//! `GET /webhooks/{id}/deliveries`, `GET /jobs/{id}/deliveries` and `GET /deliveries/{id}`: what was sent.

use axum::Json;
use axum::extract::State;
use domain::JobId;

use super::page::{DeliveriesPage, DeliveriesQuery};
use super::{NO_SUCH_DELIVERY, find_webhook, read_delivery_id};
use crate::ApiState;
use crate::caller::{Caller, WebhooksWrite};
use crate::error::ApiError;
use crate::path_of::PathOf;
use crate::routes::find_job;
use crate::wire::{AttemptBody, DeliveryBody, DeliveryDetailBody, Page};

/// Answers with what was sent to a webhook, newest first.
#[utoipa::path(
    get,
    path = "/webhooks/{id}/deliveries",
    tag = "webhooks",
    summary = "List what was sent to a webhook",
    params(
        ("id" = Uuid, Path, description = "The webhook."),
        DeliveriesQuery,
    ),
    responses((status = 200, description = "A part of the list, newest first.", body = Page<DeliveryBody>)),
    security(("key" = ["webhooks:write"])),
    extensions(("x-problems" = json!(["invalid_parameter", "bad_cursor"])))
)]
pub(super) async fn list_webhook_deliveries(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
    PathOf(id): PathOf<String>,
    page: DeliveriesPage,
) -> Result<Json<Page<DeliveryBody>>, ApiError> {
    let webhook = find_webhook(&state, &caller, &id).await?;
    Ok(Json(page.of(state.jobs.webhook_deliveries(webhook.id, &page.filter()).await?)))
}

/// Answers with what was sent about a job, to its own webhook and to registered ones, newest first.
#[utoipa::path(
    get,
    path = "/jobs/{id}/deliveries",
    tag = "webhooks",
    summary = "List what was sent about a job",
    params(
        ("id" = JobId, Path, description = "The job."),
        DeliveriesQuery,
    ),
    responses((status = 200, description = "A part of the list, newest first.", body = Page<DeliveryBody>)),
    security(("key" = ["webhooks:write"])),
    extensions(("x-problems" = json!(["invalid_parameter", "bad_cursor", "purged"])))
)]
pub(super) async fn list_job_deliveries(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
    PathOf(id): PathOf<JobId>,
    page: DeliveriesPage,
) -> Result<Json<Page<DeliveryBody>>, ApiError> {
    let job = find_job(&state, &caller, id).await?;
    Ok(Json(page.of(state.jobs.job_deliveries(job.id, &page.filter()).await?)))
}

/// Answers with one delivery: what was sent, and what came of each attempt.
#[utoipa::path(
    get,
    path = "/deliveries/{id}",
    tag = "webhooks",
    summary = "See a delivery",
    params(("id" = Uuid, Path, description = "The delivery.")),
    responses((status = 200, description = "What was sent, and what came of each attempt.", body = DeliveryDetailBody)),
    security(("key" = ["webhooks:write"]))
)]
pub(super) async fn get_delivery(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
    PathOf(id): PathOf<String>,
) -> Result<Json<DeliveryDetailBody>, ApiError> {
    let found = state.jobs.delivery(caller.owner(), read_delivery_id(&id)?).await?;
    let (delivery, payload) = found.ok_or(NO_SUCH_DELIVERY)?;
    let attempts = state.jobs.delivery_attempts(delivery.id).await?;
    Ok(Json(DeliveryDetailBody {
        delivery: DeliveryBody::new(&delivery),
        payload: serde_json::from_str(&payload).unwrap_or_default(),
        attempts: attempts.iter().map(AttemptBody::from).collect(),
    }))
}
