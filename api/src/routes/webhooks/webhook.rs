//! `GET /webhooks` and `GET`, `PATCH`, `DELETE /webhooks/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use egress::Egress;
use jobs::WebhookChange;
use serde::{Deserialize, Serialize};

use super::fields::{note, read_description, read_events, read_url};
use super::{NO_SUCH_WEBHOOK, find_webhook, read_webhook_id};
use crate::ApiState;
use crate::caller::{Caller, WebhooksWrite};
use crate::error::ApiError;
use crate::json_body::JsonBody;
use crate::path_of::PathOf;
use crate::wire::{FieldError, WebhookBody};

/// All webhooks of the caller: there is a bound on them, so there is one page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Webhooks {
    data: Vec<WebhookBody>,
    next_cursor: Option<String>,
}

/// What a client wants changed; what is absent stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeWebhook {
    url: Option<String>,
    events: Option<Vec<String>>,
    description: Option<String>,
    enabled: Option<bool>,
}

/// Answers with the caller's webhooks, oldest first.
pub(super) async fn list_webhooks(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
) -> Result<Json<Webhooks>, ApiError> {
    let webhooks = state.jobs.webhooks(caller.owner()).await?;
    Ok(Json(Webhooks { data: webhooks.iter().map(WebhookBody::new).collect(), next_cursor: None }))
}

/// Answers with one webhook.
pub(super) async fn get_webhook(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
    PathOf(id): PathOf<String>,
) -> Result<Json<WebhookBody>, ApiError> {
    Ok(Json(WebhookBody::new(&find_webhook(&state, &caller, &id).await?)))
}

/// Answers with the webhook as it is now.
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
        let mut errors = Vec::new();
        let url = self.url.and_then(|url| note(&mut errors, read_url("/url", Some(url), egress)));
        let events = self.events.and_then(|events| note(&mut errors, read_events("/events", Some(events))));
        let description = self.description.and_then(|text| note(&mut errors, read_description(text)));
        if errors.is_empty() {
            Ok(WebhookChange { url, description, events, is_enabled: self.enabled })
        } else {
            Err(errors)
        }
    }
}
