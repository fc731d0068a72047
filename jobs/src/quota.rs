//! How much an owner may ask for.

use std::time::Duration;

use domain::Cost;
use serde::{Deserialize, Serialize};

/// How much an owner may ask for; 0 is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Jobs that wait for a worker at the same time.
    pub queued_jobs: u64,
    /// Jobs that run at the same time. Nothing is refused for it: a job waits until fewer run.
    pub running_jobs: u64,
    /// Jobs accepted on one day (UTC).
    pub jobs_per_day: u64,
    /// What calls to the model may have cost on one day (UTC) when another job is accepted. Jobs that were accepted
    /// before go on.
    pub cost_per_day: Cost,
}

/// How much a key may ask for; 0 is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests for new jobs, a minute.
    pub creations_per_minute: u32,
    /// All other requests, a minute.
    pub requests_per_minute: u32,
    /// What is counted for the key's owner, over all processes.
    pub quota: Quota,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            creations_per_minute: 60,
            requests_per_minute: 1_200,
            quota: Quota { queued_jobs: 1_000, running_jobs: 0, jobs_per_day: 0, cost_per_day: Cost::ZERO },
        }
    }
}

/// The limits of one key that differ from the server's.
///
/// Stored as JSON in the key's row: a new field must have a serde default, so that old rows still read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LimitOverrides {
    /// Requests for new jobs, a minute.
    pub creations_per_minute: Option<u32>,
    /// All other requests, a minute.
    pub requests_per_minute: Option<u32>,
    /// Jobs that wait for a worker at the same time.
    pub queued_jobs: Option<u64>,
    /// Jobs that run at the same time.
    pub running_jobs: Option<u64>,
    /// Jobs accepted on one day (UTC).
    pub jobs_per_day: Option<u64>,
    /// What calls to the model may have cost on one day (UTC) when another job is accepted.
    pub cost_per_day: Option<Cost>,
}

impl Limits {
    /// These limits, but for what a key has of its own.
    #[must_use]
    pub fn with(self, own: &LimitOverrides) -> Self {
        Self {
            creations_per_minute: own.creations_per_minute.unwrap_or(self.creations_per_minute),
            requests_per_minute: own.requests_per_minute.unwrap_or(self.requests_per_minute),
            quota: Quota {
                queued_jobs: own.queued_jobs.unwrap_or(self.quota.queued_jobs),
                running_jobs: own.running_jobs.unwrap_or(self.quota.running_jobs),
                jobs_per_day: own.jobs_per_day.unwrap_or(self.quota.jobs_per_day),
                cost_per_day: own.cost_per_day.unwrap_or(self.quota.cost_per_day),
            },
        }
    }
}

/// A job was not accepted because there would be too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{bound}")]
pub struct QuotaExceeded {
    /// What there would be too much of.
    pub bound: QuotaBound,
    /// When asking again may help.
    pub retry_after: Duration,
}

/// What there would be too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuotaBound {
    /// Jobs of all owners together that wait: it holds for everybody.
    #[error("this server lets no more than {0} jobs wait for a worker: try again when some have begun")]
    WaitingJobs(u64),
    /// Jobs of the owner that wait.
    #[error("no more than {0} of your jobs may wait for a worker: try again when some have begun")]
    QueuedJobs(u64),
    /// Jobs of the owner on this day.
    #[error("you may make no more than {0} new jobs on one day (UTC)")]
    JobsPerDay(u64),
    /// Cost of the owner's jobs on this day.
    #[error("your jobs may cost no more than {0} on one day (UTC), and have")]
    CostPerDay(Cost),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_overrides_only_what_it_names() {
        let own = LimitOverrides {
            jobs_per_day: Some(5),
            queued_jobs: Some(0),
            running_jobs: Some(2),
            ..LimitOverrides::default()
        };
        let limits = Limits::default().with(&own);
        let quota = Quota { jobs_per_day: 5, queued_jobs: 0, running_jobs: 2, ..Limits::default().quota };
        assert_eq!(limits, Limits { quota, ..Limits::default() });
    }
}
