//! `POST /webhooks`: registers a receiver, and shows its secret this one time.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use egress::Egress;
use jobs::{MAX_WEBHOOKS, NewWebhook};
use serde::Deserialize;
use utoipa::ToSchema;

use super::fields::{read_description, read_events, read_url};
use crate::ApiState;
use crate::caller::{Caller, WebhooksWrite};
use crate::error::ApiError;
use crate::field::Mistakes;
use crate::json_body::JsonBody;
use crate::openapi::{WebhookEventName, WebhookUrlText};
use crate::wire::{FieldError, NewWebhookBody, WebhookBody};

/// What a client asks for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "url": "https://hooks.example.com/tinygen", "events": ["job.succeeded"] }))]
pub(super) struct CreateWebhook {
    /// Where messages go.
    #[schema(value_type = WebhookUrlText, required)]
    url: Option<String>,
    /// What it is told of; the ends of jobs when absent.
    #[schema(value_type = Option<Vec<WebhookEventName>>, min_items = 1)]
    events: Option<Vec<String>>,
    /// The owner's words for it.
    #[schema(max_length = 1024, pattern = r"^[^\x00]*$")]
    description: Option<String>,
    /// Whether messages are sent at once; else they wait.
    enabled: Option<bool>,
}

/// Answers 201 with the webhook and its secret.
#[utoipa::path(
    post,
    path = "/webhooks",
    tag = "webhooks",
    summary = "Register a webhook",
    request_body = CreateWebhook,
    responses(
        (
            status = 201,
            description = "The webhook. Its secret is shown this once.",
            body = NewWebhookBody,
            headers(
                ("Location" = String, description = "Where it is, as a path on this server."),
                ("Cache-Control" = String, description = "`no-store`."),
            ),
        ),
    ),
    security(("key" = ["webhooks:write"])),
    extensions(("x-problems" = json!(["blocked_address", "too_many_webhooks"])))
)]
pub(super) async fn create_webhook(
    State(state): State<ApiState>,
    caller: Caller<WebhooksWrite>,
    JsonBody(request): JsonBody<CreateWebhook>,
) -> Result<impl IntoResponse, ApiError> {
    let webhook = request.into_webhook(&state.egress, caller.owner()).map_err(ApiError::Invalid)?;
    let created = state.jobs.create_webhook(webhook).await?;
    let (webhook, secret) = created.ok_or(ApiError::TooManyWebhooks(MAX_WEBHOOKS))?;
    tracing::info!(webhook.id = %webhook.id, "Registered webhook {}", webhook.id);
    let body = NewWebhookBody { webhook: WebhookBody::new(&webhook), secret: secret.expose().to_owned() };
    let headers = [(header::LOCATION, body.webhook.links.own.clone()), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(body)))
}

impl CreateWebhook {
    fn into_webhook(self, egress: &Egress, owner: Option<&str>) -> Result<NewWebhook, Vec<FieldError>> {
        let mut mistakes = Mistakes::default();
        let url = mistakes.note(read_url("/url", self.url, egress));
        let events = mistakes.note(read_events("/events", self.events));
        let description = mistakes.note(read_description(self.description.unwrap_or_default()));
        let (Some(url), Some(events), Some(description)) = (url, events, description) else {
            return Err(mistakes.into());
        };
        let owner = owner.map(str::to_owned);
        Ok(NewWebhook { owner, url, description, events, is_enabled: self.enabled.unwrap_or(true) })
    }
}
