//! One exchange with a receiver.

use std::error::Error;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use egress::{Egress, EgressError, Post, PostAnswer};
use jobs::{ClaimedDelivery, Exchange};
use tracing::{debug, error};

use super::signature;

/// What was heard from a receiver, and what it asked for.
pub(super) struct Heard {
    pub(super) exchange: Exchange,
    /// How long it wants to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// Whether nothing came in time.
    pub(super) is_timeout: bool,
}

/// Signs and sends a message. Whatever happens is something that was heard.
pub(super) async fn exchange(egress: &Egress, delivery: &ClaimedDelivery, deadline: Duration) -> Heard {
    let began = Instant::now();
    let failed = |error: String, is_timeout| Heard {
        exchange: Exchange { duration: began.elapsed(), status: None, error: Some(error), response: None },
        retry_after: None,
        is_timeout,
    };
    let headers = match signature::headers(delivery) {
        Ok(headers) => headers,
        Err(error) => {
            error!(webhook.id = %delivery.lease.webhook_id(), error = &error as &dyn Error, "Cannot sign a message");
            return failed("the message could not be signed: rotate the webhook's secret".to_owned(), false);
        }
    };
    let message = Post { url: delivery.url.as_url(), headers: &headers, body: &delivery.body, deadline };
    match egress.post(message).await {
        Ok(answer) => from_answer(answer, began.elapsed()),
        Err(error) => {
            debug!(webhook.id = %delivery.lease.webhook_id(), error = &error as &dyn Error, "A message did not arrive");
            failed(error.to_string(), matches!(error, EgressError::Timeout(_)))
        }
    }
}

fn from_answer(answer: PostAnswer, duration: Duration) -> Heard {
    let error = match answer.status {
        200..=299 => None,
        300..=399 => Some(format!("the receiver redirected ({}), which is not followed", answer.status)),
        status => Some(format!("the receiver answered {status}")),
    };
    // PostgreSQL stores no text with U+0000.
    let response = String::from_utf8_lossy(&answer.body).replace('\0', "\u{fffd}");
    Heard {
        exchange: Exchange { duration, status: Some(answer.status), error, response: Some(response) },
        retry_after: answer.retry_after.and_then(|text| read_retry_after(&text, Utc::now())),
        is_timeout: false,
    }
}

/// Reads seconds, or a time (RFC 9110 §10.2.3).
fn read_retry_after(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    (at.with_timezone(&Utc) - now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_ways_to_write_a_wait() {
        let now = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
        assert_eq!(read_retry_after(" 120 ", now), Some(Duration::from_mins(2)));
        assert_eq!(read_retry_after("Mon, 21 Sep 2026 14:14:20 GMT", now), Some(Duration::from_mins(1)));
        assert_eq!(read_retry_after("Mon, 21 Sep 2026 14:00:00 GMT", now), None, "it is past");
        for bad in ["", "soon", "-5", "1.5", "99999999999999999999999"] {
            assert_eq!(read_retry_after(bad, now), None, "{bad}");
        }
    }
}
