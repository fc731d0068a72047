//! The headers of Standard Webhooks 1.0.0, and the one of W3C Trace Context.

use jobs::{ClaimedDelivery, WebhookSecret};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError};

const HEADER_TRACEPARENT: &str = "traceparent";

/// Id, time of this attempt by the database's clock, and a signature by every valid secret; and the trace of the job, if
/// it has one, with which the receiver's own may go on.
///
/// # Errors
/// When a stored secret does not read.
pub(super) fn headers(delivery: &ClaimedDelivery) -> Result<Vec<(&'static str, String)>, WebhookError> {
    let timestamp = delivery.claimed_at.timestamp();
    let sign = |secret: &WebhookSecret| {
        Webhook::new(secret.expose())?.sign(&delivery.message_id, timestamp, delivery.body.as_bytes())
    };
    let signatures: Vec<String> = delivery.secrets.iter().map(sign).collect::<Result<_, _>>()?;
    let trace = delivery.trace_context.clone().map(|trace_context| (HEADER_TRACEPARENT, trace_context));
    let signed = [
        (HEADER_WEBHOOK_ID, delivery.message_id.clone()),
        (HEADER_WEBHOOK_TIMESTAMP, timestamp.to_string()),
        (HEADER_WEBHOOK_SIGNATURE, signatures.join(" ")),
    ];
    Ok(signed.into_iter().chain(trace).collect())
}
