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

use axum::routing::{MethodRouter, get, post};
use jobs::{DeliveryId, Webhook, WebhookId};

use crate::ApiState;
use crate::caller::Caller;
use crate::error::ApiError;

pub(super) use fields::{WebhookField, read_job_webhook};

/// The routes of this folder.
pub(super) fn routes() -> [(&'static str, MethodRouter<ApiState>); 11] {
    [
        ("/webhooks", get(webhook::list_webhooks).post(create_webhook::create_webhook)),
        ("/webhooks/default/secret", get(secrets::get_default_secret)),
        ("/webhooks/default/rotate-secret", post(secrets::rotate_default_secret)),
        ("/webhooks/{id}", get(webhook::get_webhook).patch(webhook::change_webhook).delete(webhook::delete_webhook)),
        ("/webhooks/{id}/rotate-secret", post(secrets::rotate_secret)),
        ("/webhooks/{id}/test", post(redeliver::test_webhook)),
        ("/webhooks/{id}/replay", post(redeliver::replay)),
        ("/webhooks/{id}/deliveries", get(deliveries::list_webhook_deliveries)),
        ("/jobs/{id}/deliveries", get(deliveries::list_job_deliveries)),
        ("/deliveries/{id}", get(deliveries::get_delivery)),
        ("/deliveries/{id}/redeliver", post(redeliver::redeliver)),
    ]
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
