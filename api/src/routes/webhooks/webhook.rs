//! `GET /webhooks` and `GET`, `PATCH`, `DELETE /webhooks/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use egress::Egress;
use jobs::WebhookChange;
use serde::Deserialize;
use utoipa::ToSchema;

use super::fields::{read_description, read_events, read_url};
use super::{NO_SUCH_WEBHOOK, find_webhook, read_webhook_id};
use crate::ApiState;
use crate::caller::{Caller, WebhooksWrite};
use crate::error::ApiError;
use crate::field::Mistakes;
use crate::json_body::JsonBody;
use crate::openapi::{WebhookEventName, WebhookUrlText};
use crate::path_of::PathOf;
use crate::wire::{FieldError, Page, WebhookBody};

/// What a client wants changed; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeWebhook {
    /// Where messages go from now on, those that wait included.
    #[schema(value_type = Option<WebhookUrlText>)]
    url: Option<String>,
    /// What it is told of from now on.
    #[schema(value_type = Option<Vec<WebhookEventName>>, min_items = 1)]
    events: Option<Vec<String>>,
    /// The owner's words for it.
    #[schema(max_length = 1024, pattern = r"^[^\x00]*$")]
    description: Option<String>,
    /// Whether messages are sent. Enabling forgets earlier failures.
    enabled: Option<bool>,
}

/// Answers with the caller's webhooks, oldest first: there is a bound on them, so there is one page.
#[utoipa::path(
    get,
    path = "/webhooks",
    tag = "webhooks",
    summary = "List webhooks",
    responses((status = 200, description = "All of the owner's webhooks, the oldest first.", body = Page<WebhookBody>)),
    security(("key" = ["webhooks:write"]))
)]
pub(super) async fn list_webhooks(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
) -> Result<Json<Page<WebhookBody>>, ApiError> {
    let webhooks = state.jobs.webhooks(caller.owner()).await?;
    Ok(Json(Page { data: webhooks.iter().map(WebhookBody::new).collect(), next_cursor: None }))
}

/// Answers with one webhook.
#[utoipa::path(
    get,
    path = "/webhooks/{id}",
    tag = "webhooks",
    summary = "See a webhook",
    params(("id" = Uuid, Path, description = "The webhook.")),
    responses((status = 200, description = "The webhook.", body = WebhookBody)),
    security(("key" = ["webhooks:write"]))
)]
pub(super) async fn get_webhook(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
    PathOf(id): PathOf<String>,
) -> Result<Json<WebhookBody>, ApiError> {
    Ok(Json(WebhookBody::new(&find_webhook(&state, &caller, &id).await?)))
}

/// Answers with the webhook as it is now.
#[utoipa::path(
    patch,
    path = "/webhooks/{id}",
    tag = "webhooks",
    summary = "Change a webhook",
    params(("id" = Uuid, Path, description = "The webhook.")),
    request_body = ChangeWebhook,
    responses((status = 200, description = "The webhook as it is now.", body = WebhookBody)),
    security(("key" = ["webhooks:write"])),
    extensions(("x-problems" = json!(["blocked_address"])))
)]
pub(super) async fn change_webhook(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
    PathOf(id): PathOf<String>,
    JsonBody(request): JsonBody<ChangeWebhook>,
) -> Result<Json<WebhookBody>, ApiError> {
    let id = find_webhook(&state, &caller, &id).await?.id;
    let change = request.into_change(&state.egress).map_err(ApiError::Invalid)?;
    let webhook = state.jobs.change_webhook(caller.owner(), id, &change).await?.ok_or(NO_SUCH_WEBHOOK)?;
    Ok(Json(WebhookBody::new(&webhook)))
}

/// Answers 204 once nothing is sent any more. A second time there is no such webhook.
#[utoipa::path(
    delete,
    path = "/webhooks/{id}",
    tag = "webhooks",
    summary = "Delete a webhook",
    params(("id" = Uuid, Path, description = "The webhook.")),
    responses((status = 204, description = "Nothing is sent any more.")),
    security(("key" = ["webhooks:write"]))
)]
pub(super) async fn delete_webhook(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
    PathOf(id): PathOf<String>,
) -> Result<StatusCode, ApiError> {
    let is_deleted = state.jobs.delete_webhook(caller.owner(), read_webhook_id(&id)?).await?;
    if is_deleted { Ok(StatusCode::NO_CONTENT) } else { Err(NO_SUCH_WEBHOOK) }
}

impl ChangeWebhook {
    fn into_change(self, egress: &Egress) -> Result<WebhookChange, Vec<FieldError>> {
        let mut mistakes = Mistakes::default();
        let url = self.url.and_then(|url| mistakes.note(read_url("/url", Some(url), egress)));
        let events = self.events.and_then(|events| mistakes.note(read_events("/events", Some(events))));
        let description = self.description.and_then(|text| mistakes.note(read_description(text)));
        if mistakes.is_empty() {
            Ok(WebhookChange { url, description, events, is_enabled: self.enabled })
        } else {
            Err(mistakes.into())
        }
    }
}
