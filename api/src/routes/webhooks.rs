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

use jobs::{DeliveryId, Webhook, WebhookId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ApiState;
use crate::caller::Caller;
use crate::error::ApiError;

pub(super) use fields::{WebhookField, read_job_webhook};

/// The routes of this folder.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(webhook::list_webhooks))
        .routes(routes!(create_webhook::create_webhook))
        .routes(routes!(secrets::get_default_secret))
        .routes(routes!(secrets::rotate_default_secret))
        .routes(routes!(webhook::get_webhook))
        .routes(routes!(webhook::change_webhook))
        .routes(routes!(webhook::delete_webhook))
        .routes(routes!(secrets::rotate_secret))
        .routes(routes!(redeliver::test_webhook))
        .routes(routes!(redeliver::replay))
        .routes(routes!(deliveries::list_webhook_deliveries))
        .routes(routes!(deliveries::list_job_deliveries))
        .routes(routes!(deliveries::get_delivery))
        .routes(routes!(redeliver::redeliver))
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
