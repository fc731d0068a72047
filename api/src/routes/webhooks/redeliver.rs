//! `POST /webhooks/{id}/test`, `POST /deliveries/{id}/redeliver`, `POST /webhooks/{id}/replay`: sends on request.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use jobs::{DeliveryStatus, Redelivery};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{NO_SUCH_DELIVERY, NO_SUCH_WEBHOOK, find_webhook, read_delivery_id};
use crate::ApiState;
use crate::caller::{Caller, WebhooksWrite};
use crate::error::ApiError;
use crate::field::Mistakes;
use crate::json_body::JsonBody;
use crate::openapi::ReplayStatusName;
use crate::path_of::PathOf;
use crate::wire::{DeliveryBody, FieldError};

/// Which messages to send again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    /// Those that were written at this time or later.
    #[schema(value_type = String, required, format = DateTime)]
    since: Option<String>,
    /// And before this one; until now when absent.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Those that came to this: `failed` when absent, or `delivered`.
    #[schema(value_type = Option<ReplayStatusName>)]
    status: Option<String>,
}

/// How many messages are sent again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replayed {
    /// That many.
    deliveries: u64,
}

/// Answers 202 with the delivery of a message that proves that the webhook can be reached.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/test",
    tag = "webhooks",
    summary = "Send a test message",
    params(("id" = Uuid, Path, description = "The webhook.")),
    responses((status = 202, description = "The delivery of the message.", body = DeliveryBody)),
    security(("key" = ["webhooks:write"])),
    extensions(("x-problems" = json!(["webhook_disabled"])))
)]
pub(super) async fn test_webhook(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
    PathOf(id): PathOf<String>,
) -> Result<impl IntoResponse, ApiError> {
    let webhook = find_webhook(&state, &caller, &id).await?;
    if webhook.disabled_at.is_some() {
        return Err(ApiError::WebhookDisabled);
    }
    let delivery = state.jobs.test_webhook(caller.owner(), webhook.id).await?.ok_or(NO_SUCH_WEBHOOK)?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryBody::new(&delivery))))
}

/// Answers 202 with the delivery once its message is to be sent again, or at once if it waits.
#[utoipa::path(
    post,
    path = "/deliveries/{id}/redeliver",
    tag = "webhooks",
    summary = "Send a message again",
    params(("id" = Uuid, Path, description = "The delivery.")),
    responses((status = 202, description = "The delivery, which waits to be sent.", body = DeliveryBody)),
    security(("key" = ["webhooks:write"])),
    extensions(("x-problems" = json!(["webhook_disabled"])))
)]
pub(super) async fn redeliver(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
    PathOf(id): PathOf<String>,
) -> Result<impl IntoResponse, ApiError> {
    let id = read_delivery_id(&id)?;
    match state.jobs.redeliver(caller.owner(), id).await? {
        Redelivery::Queued => {}
        Redelivery::Disabled => return Err(ApiError::WebhookDisabled),
        Redelivery::NotFound => return Err(NO_SUCH_DELIVERY),
    }
    let (delivery, _) = state.jobs.delivery(caller.owner(), id).await?.ok_or(NO_SUCH_DELIVERY)?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryBody::new(&delivery))))
}

/// Answers 202 with the number of messages that are to be sent again.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/replay",
    tag = "webhooks",
    summary = "Send many messages again",
    params(("id" = Uuid, Path, description = "The webhook.")),
    request_body = Replay,
    responses((status = 202, description = "How many messages are to be sent again.", body = Replayed)),
    security(("key" = ["webhooks:write"])),
    extensions(("x-problems" = json!(["webhook_disabled"])))
)]
pub(super) async fn replay(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
    PathOf(id): PathOf<String>,
    JsonBody(request): JsonBody<Replay>,
) -> Result<impl IntoResponse, ApiError> {
    let webhook = find_webhook(&state, &caller, &id).await?;
    let Chosen { since, until, status } = request.read().map_err(ApiError::Invalid)?;
    if webhook.disabled_at.is_some() {
        return Err(ApiError::WebhookDisabled);
    }
    let replayed = state.jobs.replay(caller.owner(), webhook.id, since, until, Some(status)).await?;
    let deliveries = replayed.ok_or(NO_SUCH_WEBHOOK)?;
    tracing::info!(webhook.id = %webhook.id, deliveries, "Somebody asked for messages to be sent again");
    Ok((StatusCode::ACCEPTED, Json(Replayed { deliveries })))
}

/// A [`Replay`] that was read.
struct Chosen {
    since: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    status: DeliveryStatus,
}

impl Replay {
    fn read(self) -> Result<Chosen, Vec<FieldError>> {
        let mut mistakes = Mistakes::default();
        let since = self.since.ok_or_else(|| FieldError::new("/since", "is required"));
        let since = mistakes.note(since.and_then(|text| read_time("/since", &text)));
        let until = mistakes.note(self.until.map(|text| read_time("/until", &text)).transpose());
        let status = mistakes.note(read_status(self.status.as_deref()));
        let (Some(since), Some(until), Some(status)) = (since, until, status) else { return Err(mistakes.into()) };
        Ok(Chosen { since, until, status })
    }
}

fn read_time(pointer: &str, text: &str) -> Result<DateTime<Utc>, FieldError> {
    let time = DateTime::parse_from_rfc3339(text);
    let detail = "is not a time such as 2026-09-04T12:30:00Z (RFC 3339)";
    time.map(|time| time.to_utc()).map_err(|_| FieldError::new(pointer, detail))
}

/// What messages came to that are to be sent again: what waits is sent anyway.
fn read_status(name: Option<&str>) -> Result<DeliveryStatus, FieldError> {
    match name {
        None | Some("failed") => Ok(DeliveryStatus::Failed),
        Some("delivered") => Ok(DeliveryStatus::Delivered),
        Some(other) => Err(FieldError::new("/status", format!("`{other}` is neither failed nor delivered"))),
    }
}
