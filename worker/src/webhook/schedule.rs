//! What an attempt means for its message: delivered, given up, or tried again, and when.

use std::time::Duration;

use jobs::{ClaimedDelivery, DeliveryEnd, TEST_EVENT};

use super::config::WebhookConfig;
use super::send::Heard;

/// Answers after which a receiver gets more time than the first waits give: it is overloaded, or gone for a moment.
const OVERLOAD: [u16; 4] = [429, 502, 503, 504];

const GONE: u16 = 410;

/// Decides by the status alone; what the body says counts for nothing.
pub(super) fn judge(config: &WebhookConfig, delivery: &ClaimedDelivery, heard: &Heard) -> DeliveryEnd {
    match heard.exchange.status {
        Some(200..=299) => DeliveryEnd::Delivered,
        Some(GONE) => DeliveryEnd::Gone,
        // Somebody waits for it, and asks again when it failed.
        _ if delivery.kind == TEST_EVENT => DeliveryEnd::Failed,
        _ => match config.waits.get(delivery.tries as usize) {
            None => DeliveryEnd::Failed,
            Some(wait) => {
                let receiver_pause = heard.retry_after.map(|asked| asked.min(config.max_retry_after));
                DeliveryEnd::Retry { delay: delay(config, *wait, heard, rand::random()), receiver_pause }
            }
        },
    }
}

/// The wait before the next try. `chance` is from 0 to 1.
fn delay(config: &WebhookConfig, wait: Duration, heard: &Heard, chance: f64) -> Duration {
    let is_overloaded = heard.is_timeout || heard.exchange.status.is_some_and(|status| OVERLOAD.contains(&status));
    let least = if is_overloaded { config.overload_wait } else { Duration::ZERO };
    let asked = heard.retry_after.unwrap_or_default().min(config.max_retry_after);
    let jittered = wait.mul_f64(1.0 + config.jitter * (2.0 * chance - 1.0));
    jittered.max(least).max(asked)
}

#[cfg(test)]
mod tests {
    use jobs::Exchange;

    use super::*;

    fn heard(status: Option<u16>) -> Heard {
        let exchange = Exchange { duration: Duration::ZERO, status, error: None, response: None };
        Heard { exchange, retry_after: None, is_timeout: false }
    }

    #[test]
    fn ten_tries_span_75_hours_and_35_minutes() {
        let config = WebhookConfig::default();
        let seconds: Vec<u64> = config.waits.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]);
        let mut at = Duration::ZERO;
        let mut tries = vec![at];
        for wait in &config.waits {
            at += delay(&config, *wait, &heard(Some(500)), 0.5);
            tries.push(at);
        }
        assert_eq!(tries.len(), 10);
        assert_eq!(at.as_secs(), 75 * 3_600 + 35 * 60 + 5);
        assert!(config.deadline < jobs::WebhookPolicy::default().lease, "nobody else sends what is on its way");
    }

    #[test]
    fn waits_vary_by_a_fifth() {
        let config = WebhookConfig::default();
        let wait = Duration::from_secs(100);
        for (chance, seconds) in [(0.0, 80), (0.5, 100), (1.0, 120)] {
            assert_eq!(delay(&config, wait, &heard(Some(500)), chance).as_secs(), seconds);
        }
    }

    #[test]
    fn overload_waits_for_a_minute_and_requests_are_heeded() {
        let config = WebhookConfig::default();
        let first = config.waits[0];
        for status in [429, 502, 503, 504] {
            assert_eq!(delay(&config, first, &heard(Some(status)), 0.5), Duration::from_mins(1), "{status}");
        }
        let timeout = Heard { is_timeout: true, ..heard(None) };
        assert_eq!(delay(&config, first, &timeout, 0.5), Duration::from_mins(1));
        assert_eq!(delay(&config, first, &heard(None), 0.5), first, "no connection is no overload");
        for (asked_hours, heeded_hours) in [(1, 1), (24, 24), (48, 24)] {
            let asked = Heard { retry_after: Some(Duration::from_hours(asked_hours)), ..heard(Some(429)) };
            assert_eq!(delay(&config, first, &asked, 0.5), Duration::from_hours(heeded_hours));
        }
    }
}
