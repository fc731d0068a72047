//! The bell: tells waiting workers that there may be work.
//!
//! It carries no truth. A ring that is lost, doubled, late or out of order costs at most the time that a worker waits
//! anyway; what is due is decided by the claim alone. So ringing never fails: the row is there, and a sweep rings again.

mod couriers;
mod local;
mod redis;

use std::time::Duration;

use domain::JobId;

use self::local::LocalBell;
use self::redis::RedisBell;
use crate::error::StoreError;

pub(crate) use couriers::CourierBell;

/// Where rings go, and where they are waited for.
#[derive(Debug, Clone)]
pub(crate) enum Bell {
    /// The workers are in this process.
    Local(LocalBell),
    /// The workers are in any process.
    Redis(RedisBell),
}

impl Bell {
    /// A bell for the workers of this process.
    pub(crate) fn local() -> Self {
        Self::Local(LocalBell::default())
    }

    /// A bell for the workers of every process that uses the same Redis. Connects when it is first used.
    pub(crate) fn redis(url: &str) -> Result<Self, StoreError> {
        RedisBell::new(url).map(Self::Redis).map_err(StoreError::RedisAddress)
    }

    /// What rings go through, as traces name it.
    pub(crate) fn system(&self) -> &'static str {
        match self {
            Self::Local(_) => "in_process",
            Self::Redis(_) => "redis",
        }
    }

    /// Wakes as many waiting workers as there are jobs; when none waits, the next ones to wait do not. Takes half a
    /// second at most, however the bell fares.
    pub(crate) async fn ring(&self, jobs: &[JobId]) {
        match self {
            Self::Local(bell) => bell.ring(jobs.len()),
            Self::Redis(bell) => bell.ring(jobs).await,
        }
    }

    /// Whether other processes can be called; absent for a bell that is not for them.
    pub(crate) async fn answers(&self) -> Option<bool> {
        match self {
            Self::Local(_) => None,
            Self::Redis(bell) => Some(bell.answers().await),
        }
    }

    /// Returns at the next ring, after `idle`, or soon when the bell is out of order.
    pub(crate) async fn wait(&self, idle: Duration) {
        let _is_rung = match self {
            Self::Local(bell) => bell.wait(idle).await,
            Self::Redis(bell) => bell.wait(idle).await,
        };
    }
}
