//! How much there is to do, and who is there to do it.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Priority;

/// Slots of a worker as long as none was ever seen: what a worker has unless it is configured otherwise.
pub const USUAL_SLOTS: u64 = 4;

/// Where an open job stands, or one that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum QueueState {
    /// It waits for a worker.
    Ready,
    /// It waits for the time of its next attempt.
    Delayed,
    /// A worker has it.
    Running,
    /// It was given up as poisoned, and is not deleted yet.
    Dead,
}

impl QueueState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Delayed, Self::Running, Self::Dead];

    /// The name used in SQL, JSON and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Delayed => "delayed",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }
}

/// The queue at one moment, over all owners, and the workers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// How many jobs there are of each state and priority; where there are none, nothing.
    pub(crate) jobs: BTreeMap<(QueueState, Priority), u64>,
    /// How long the job that has waited longest could have been started: since it was asked for, or since the time of its
    /// next attempt.
    pub oldest_ready: Duration,
    /// Workers that live.
    pub workers: u64,
    /// Jobs that they work on at the same time, all together.
    pub slots: u64,
    /// The slots of the worker that was seen last, whether it lives or not.
    pub(crate) last_slots: Option<u64>,
    /// Whether a webhook can be sent now: workers do that, too.
    pub(crate) has_messages: bool,
}

impl QueueStats {
    /// Jobs of a state.
    pub fn count(&self, state: QueueState) -> u64 {
        Priority::ALL.into_iter().map(|priority| self.count_of(state, priority)).sum()
    }

    /// Jobs of a state and a priority.
    pub fn count_of(&self, state: QueueState, priority: Priority) -> u64 {
        self.jobs.get(&(state, priority)).copied().unwrap_or(0)
    }

    /// How many workers like those there are would work on all that is ready or runs, at once. What runs counts: who stops
    /// workers by this number must not stop one that works. One is wanted for webhooks alone.
    pub fn desired_workers(&self) -> u64 {
        let jobs = self.count(QueueState::Ready) + self.count(QueueState::Running);
        let (workers, slots) = match self.slots {
            0 => (1, self.last_slots.unwrap_or(USUAL_SLOTS).max(1)),
            slots => (self.workers, slots),
        };
        (jobs * workers).div_ceil(slots).max(u64::from(self.has_messages))
    }
}

/// What waits for receivers of webhooks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookStats {
    /// Messages that are neither delivered nor given up. Counted up to 100,000.
    pub pending: u64,
    /// Receivers that have failed so often that they are only probed.
    pub open_endpoints: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(ready: u64, running: u64, workers: u64, slots: u64) -> QueueStats {
        let jobs = [((QueueState::Ready, Priority::Low), ready), ((QueueState::Running, Priority::High), running)];
        QueueStats { jobs: jobs.into(), workers, slots, ..QueueStats::default() }
    }

    #[test]
    fn wants_workers_for_what_is_ready_and_for_what_runs() {
        assert_eq!(queue(0, 0, 2, 8).desired_workers(), 0);
        assert_eq!(queue(0, 1, 2, 8).desired_workers(), 1, "what runs keeps its worker");
        assert_eq!(queue(4, 0, 2, 8).desired_workers(), 1);
        assert_eq!(queue(4, 1, 2, 8).desired_workers(), 2);
        assert_eq!(queue(100, 8, 2, 8).desired_workers(), 27);
        assert_eq!(queue(7, 0, 3, 6).desired_workers(), 4, "two slots each, on average");
        let mut delayed = queue(0, 0, 2, 8);
        delayed.jobs.insert((QueueState::Delayed, Priority::Normal), 9);
        delayed.jobs.insert((QueueState::Dead, Priority::Normal), 9);
        assert_eq!(delayed.desired_workers(), 0, "nobody can work on those now");
        delayed.has_messages = true;
        assert_eq!(delayed.desired_workers(), 1, "somebody has to send them");
    }

    #[test]
    fn knows_what_a_worker_is_like_when_none_lives() {
        let none = queue(9, 0, 0, 0);
        assert_eq!(none.desired_workers(), 3, "4 slots each, as they usually have");
        assert_eq!(QueueStats { last_slots: Some(2), ..none }.desired_workers(), 5);
    }

    #[test]
    fn counts_by_state_and_priority() {
        let queue = queue(3, 2, 0, 0);
        assert_eq!(QueueState::ALL.map(|state| queue.count(state)), [3, 0, 2, 0]);
        assert_eq!(Priority::ALL.map(|priority| queue.count_of(QueueState::Ready, priority)), [3, 0, 0]);
    }
}
