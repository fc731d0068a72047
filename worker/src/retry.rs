//! How long a job waits for its next attempt.

use std::time::Duration;

use crate::config::WorkerConfig;

/// Longest wait that a service may ask for; a larger one is taken for a mistake.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The wait after the failed attempt numbered `attempt`, from 1: anything from nothing to a bound that doubles (full
/// jitter, so that jobs that failed together don't come back together), but no less than the service asked for.
pub(crate) fn delay(config: &WorkerConfig, attempt: u32, retry_after: Option<Duration>) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let bound = config.first_backoff.saturating_mul(1 << doublings).min(config.max_backoff);
    let jittered = bound.mul_f64(rand::random::<f64>());
    jittered.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER))
}

/// The wait before a job goes on that a service's limit of our rate has stopped: as long as the service asks, and up to a
/// tenth more, so that such jobs don't come back all at once.
pub(crate) fn postponement(config: &WorkerConfig, retry_after: Option<Duration>) -> Duration {
    let asked = retry_after.unwrap_or(config.max_backoff).min(MAX_RETRY_AFTER);
    asked + (asked / 10).mul_f64(rand::random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_a_rate_limit_at_least_as_long_as_asked() {
        let config = WorkerConfig::default();
        for (asked, least) in [(None, 60), (Some(7), 7), (Some(86_400), 3_600)] {
            let (delay, least) = (postponement(&config, asked.map(Duration::from_secs)), Duration::from_secs(least));
            assert!(delay >= least && delay <= least + least / 10, "{delay:?}");
        }
    }

    #[test]
    fn waits_longer_with_each_attempt_up_to_a_bound() {
        let config = WorkerConfig::default();
        for (attempt, bound) in [(1, 5), (2, 10), (3, 20), (5, 60), (u32::MAX, 60)] {
            for _ in 0..50 {
                assert!(delay(&config, attempt, None) <= Duration::from_secs(bound));
            }
        }
    }

    #[test]
    fn waits_as_long_as_the_service_asks() {
        let config = WorkerConfig::default();
        let asked = Duration::from_mins(2);
        assert_eq!(delay(&config, 1, Some(asked)), asked);
        assert_eq!(delay(&config, 1, Some(Duration::MAX)), MAX_RETRY_AFTER);
    }
}
