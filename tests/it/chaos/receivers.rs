//! What came to the receivers of webhooks, put in terms of jobs.

use chrono::Utc;
use serde_json::Value;
use standardwebhooks::Webhook;
use standin::webhook_receiver::{Received, WebhookReceiver};

use super::record::Message;

/// Where receivers are told. What comes to another path is not followed from there by right.
pub(crate) const RECEIVER_PATH: &str = "/told";

/// The messages at all receivers, each receiver's in order.
pub(crate) fn messages(receivers: &[WebhookReceiver], secret: &str) -> Vec<Message> {
    let webhook = Webhook::new(secret).expect("a secret");
    let of = |receiver: &WebhookReceiver| {
        let received = receiver.received();
        received.iter().map(|received| message(received, receiver.url(&received.target), &webhook)).collect::<Vec<_>>()
    };
    receivers.iter().flat_map(of).collect()
}

fn message(received: &Received, url: String, webhook: &Webhook) -> Message {
    let data: Value = received.json().expect("JSON")["data"].clone();
    let id = received.header("webhook-id");
    let timestamp = received.header("webhook-timestamp").parse().expect("seconds");
    // `verify` would call what came some minutes ago a replay.
    let signature = webhook.sign(id, timestamp, &received.body).expect("signed");
    Message {
        url,
        id: id.to_owned(),
        at: Utc::now() - received.at.elapsed(),
        job_id: data["id"].as_str().expect("an id").parse().expect("a UUID"),
        seq: data["version"].as_i64().expect("a version"),
        is_signed: received.header("webhook-signature").split(' ').any(|one| one == signature),
    }
}
