//! `/webhooks` and `/deliveries`: who is told of what, and what was sent.
//!
//! Everything here needs the scope `webhooks:write`, reading too: deliveries show what other people's servers answered.

mod create_webhook;
mod deliveries;
mod fields;
mod page;
mod redeliver;
mod secrets;
mod webhook;

use axum::Router;
use axum::routing::{get, post};
use jobs::{DeliveryId, Webhook, WebhookId};

use crate::ApiState;
use crate::caller::Caller;
use crate::error::ApiError;

pub(super) use fields::{WebhookField, read_job_webhook};

/// The routes of this folder.
pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/webhooks", get(webhook::list_webhooks).post(create_webhook::create_webhook))
        .route("/webhooks/default/secret", get(secrets::get_default_secret))
        .route("/webhooks/default/rotate-secret", post(secrets::rotate_default_secret))
        .route(
            "/webhooks/{id}",
            get(webhook::get_webhook).patch(webhook::change_webhook).delete(webhook::delete_webhook),
        )
        .route("/webhooks/{id}/rotate-secret", post(secrets::rotate_secret))
        .route("/webhooks/{id}/test", post(redeliver::test_webhook))
        .route("/webhooks/{id}/replay", post(redeliver::replay))
        .route("/webhooks/{id}/deliveries", get(deliveries::list_webhook_deliveries))
        .route("/jobs/{id}/deliveries", get(deliveries::list_job_deliveries))
        .route("/deliveries/{id}", get(deliveries::get_delivery))
        .route("/deliveries/{id}/redeliver", post(redeliver::redeliver))
}

const NO_SUCH_WEBHOOK: ApiError = ApiError::NotFound("there is no such webhook");
const NO_SUCH_DELIVERY: ApiError = ApiError::NotFound("there is no such delivery");

fn read_webhook_id(text: &str) -> Result<WebhookId, ApiError> {
    text.parse().map_err(|_| NO_SUCH_WEBHOOK)
}

fn read_delivery_id(text: &str) -> Result<DeliveryId, ApiError> {
    text.parse().map_err(|_| NO_SUCH_DELIVERY)
}

/// The caller's webhook of this id.
async fn find_webhook<S>(state: &ApiState, caller: &Caller<S>, id: &str) -> Result<Webhook, ApiError> {
    state.jobs.webhook(caller.owner(), read_webhook_id(id)?).await?.ok_or(NO_SUCH_WEBHOOK)
}
