//! When to ask again after a failure.

use std::time::Duration;

use tokio::time::Instant;

use super::LlmError;

/// How often and how long to try.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// Time from the first attempt within which the last one must begin.
    pub budget: Duration,
    /// Bound of the first wait; each later bound is twice the one before.
    pub base: Duration,
    /// Largest bound of a wait.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    /// For a job in a queue, which can wait but should not hold its worker.
    fn default() -> Self {
        Self {
            max_attempts: 6,
            budget: Duration::from_mins(10),
            base: Duration::from_secs(1),
            cap: Duration::from_mins(1),
        }
    }
}

/// The waits between the attempts of one call.
///
/// It only says how long to wait: waiting, and putting money aside for the next attempt, is the caller's.
#[derive(Debug)]
pub struct Backoff {
    policy: RetryPolicy,
    started: Instant,
    attempts: u32,
}

impl Backoff {
    /// Starts the clock: the first attempt is made now.
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, started: Instant::now(), attempts: 1 }
    }

    /// The attempt that is being made, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempts
    }

    /// How long to wait before the next attempt; nothing when there should be none, because the error will stay or
    /// because the attempts or the time are used up.
    pub fn next_delay(&mut self, error: &LlmError) -> Option<Duration> {
        if !error.is_retryable() || self.attempts >= self.policy.max_attempts {
            return None;
        }
        let delay = self.delay(error.retry_after(), rand::random());
        if self.started.elapsed() + delay > self.policy.budget {
            return None;
        }
        self.attempts += 1;
        Some(delay)
    }

    /// What the service asks for and up to a tenth more, so that workers do not come back all at once; else anything
    /// between nothing and a bound that doubles (full jitter). `random` is in `0..1`.
    fn delay(&self, retry_after: Option<Duration>, random: f64) -> Duration {
        if let Some(asked) = retry_after {
            return asked.saturating_add((asked / 10).mul_f64(random));
        }
        let doublings = (self.attempts - 1).min(16);
        self.policy.base.saturating_mul(1 << doublings).min(self.policy.cap).mul_f64(random)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ServiceError;
    use super::*;

    fn rate_limited(retry_after: Option<Duration>) -> LlmError {
        LlmError::RateLimited(Box::new(ServiceError { status: 429, retry_after, ..ServiceError::default() }))
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_after_six_attempts() {
        let mut backoff = Backoff::new(RetryPolicy::default());
        for attempt in 2..=6 {
            assert!(backoff.next_delay(&LlmError::Timeout).is_some());
            assert_eq!(backoff.attempt(), attempt);
        }
        assert_eq!(backoff.next_delay(&LlmError::Timeout), None);
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_when_the_next_attempt_would_begin_after_ten_minutes() {
        let mut backoff = Backoff::new(RetryPolicy::default());
        assert_eq!(backoff.next_delay(&rate_limited(Some(Duration::from_secs(601)))), None);
        tokio::time::advance(Duration::from_secs(595)).await;
        assert_eq!(backoff.next_delay(&rate_limited(Some(Duration::from_secs(6)))), None);
        assert!(backoff.next_delay(&rate_limited(Some(Duration::from_secs(4)))).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn bounds_double_up_to_the_cap() {
        let mut backoff = Backoff::new(RetryPolicy::default());
        let mut bounds = vec![];
        for attempts in 1..=8 {
            backoff.attempts = attempts;
            assert_eq!(backoff.delay(None, 0.0), Duration::ZERO);
            bounds.push(backoff.delay(None, 1.0).as_secs());
        }
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_at_least_as_long_as_asked() {
        let backoff = Backoff::new(RetryPolicy::default());
        let asked = Some(Duration::from_secs(30));
        assert_eq!(backoff.delay(asked, 0.0), Duration::from_secs(30));
        assert_eq!(backoff.delay(asked, 1.0), Duration::from_secs(33));
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_repeat_what_will_fail_again() {
        let mut backoff = Backoff::new(RetryPolicy::default());
        assert_eq!(backoff.next_delay(&LlmError::Account(Box::default())), None);
        assert_eq!(backoff.next_delay(&LlmError::InvalidRequest(Box::default())), None);
    }
}
