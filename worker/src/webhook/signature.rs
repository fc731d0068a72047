//! The headers of Standard Webhooks 1.0.0.

use jobs::{ClaimedDelivery, WebhookSecret};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError};

/// Id, time of this attempt by the database's clock, and a signature by every valid secret.
///
/// # Errors
/// When a stored secret does not read.
pub(super) fn headers(delivery: &ClaimedDelivery) -> Result<[(&'static str, String); 3], WebhookError> {
    let timestamp = delivery.claimed_at.timestamp();
    let sign = |secret: &WebhookSecret| {
        Webhook::new(secret.expose())?.sign(&delivery.message_id, timestamp, delivery.body.as_bytes())
    };
    let signatures: Vec<String> = delivery.secrets.iter().map(sign).collect::<Result<_, _>>()?;
    Ok([
        (HEADER_WEBHOOK_ID, delivery.message_id.clone()),
        (HEADER_WEBHOOK_TIMESTAMP, timestamp.to_string()),
        (HEADER_WEBHOOK_SIGNATURE, signatures.join(" ")),
    ])
}
