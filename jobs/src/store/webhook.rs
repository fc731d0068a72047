//! Webhooks, their secrets, and the messages to them.
//!
//! Who locks both a webhook's row and a delivery's locks the webhook's first. The transactions of jobs lock no delivery, and
//! a webhook only when a job is submitted that brings it along.

mod again;
mod claim;
mod endpoint;
mod finish;
mod list;
mod outbox;
mod secret;
mod sweep;

use domain::WebhookUrl;

use crate::error::StoreError;
use crate::event::EventKind;

pub(super) use outbox::{attach_webhook, write_deliveries};
pub(super) use sweep::forget_deliveries;

/// What `webhooks.kind` says.
const ENDPOINT: &str = "endpoint";
const ORIGIN: &str = "origin";

/// The names of events as one column holds them.
fn events_to_json(events: &[EventKind]) -> String {
    let names: Vec<&str> = events.iter().map(|kind| kind.as_str()).collect();
    super::rows::to_json(&names)
}

fn events_from_json(json: &str) -> Result<Vec<EventKind>, StoreError> {
    let names: Vec<String> = super::rows::from_json("events of a webhook", json)?;
    names.iter().map(|name| name.parse().map_err(StoreError::damaged("event of a webhook"))).collect()
}

fn read_url(text: &str) -> Result<WebhookUrl, StoreError> {
    WebhookUrl::parse(text).map_err(StoreError::damaged("address of a webhook"))
}
