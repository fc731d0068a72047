//! The bell of couriers, those who send webhooks: tells them that there may be messages to send.
//!
//! It carries no truth either: what may be sent is decided by the claim alone, and a courier that hears nothing looks by
//! itself. Most messages are written by workers, beside which there is a courier; so a ring is heard in its own process,
//! at once, and goes through Redis only where there is none.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use super::Bell;
use super::local::LocalBell;
use super::redis::RedisBell;

/// The list in Redis.
const LIST: &str = "tinygen:couriers";
/// What is pushed to it, for people who look.
const RING: &str = "deliveries";
/// The longest wait at a time: a connection that has died is noticed by then.
const WAIT: Duration = Duration::from_secs(30);

/// Where rings go, and where they are waited for.
#[derive(Debug, Clone, Default)]
pub(crate) struct CourierBell {
    /// Of this process.
    near: LocalBell,
    /// Of all processes.
    far: Option<RedisBell>,
}

impl CourierBell {
    /// The same bell, with other processes within reach if the bell of jobs reaches them.
    pub(crate) fn beside(self, bell: &Bell) -> Self {
        let far = match bell {
            Bell::Local(_) => None,
            Bell::Redis(bell) => Some(bell.with_list(LIST)),
        };
        Self { far, ..self }
    }

    /// To be rung after the commit of what may be sent. Returns at once.
    pub(crate) fn ring(&self) {
        self.near.ring(1);
    }

    /// The same after a commit that may have been of something else.
    pub(crate) fn ring_if(&self, is_told: bool) {
        if is_told {
            self.ring();
        }
    }

    /// Returns at the next ring, or after `idle`.
    pub(crate) async fn wait(&self, idle: Duration) {
        self.near.wait(idle).await;
    }

    /// Passes on to this process what others ring.
    pub(crate) async fn hear_others(&self) -> Infallible {
        let Some(far) = &self.far else { return pending().await };
        loop {
            if far.wait(WAIT).await {
                self.near.ring(1);
            }
        }
    }

    /// Passes on to others what this process rings.
    pub(crate) async fn tell_others(&self) -> Infallible {
        let Some(far) = &self.far else { return pending().await };
        loop {
            if self.near.wait(WAIT).await {
                far.ring(&[RING]).await;
            }
        }
    }
}
