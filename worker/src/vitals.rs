//! Signs of life: whether a worker that runs also turns.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::refusal::Refusal;

/// How long a part of the worker may stand still before the worker counts as stalled.
const LONGEST_STANDSTILL: Duration = Duration::from_secs(30);

/// Signs of life of one worker, which others may look at while it runs. Clones are of the same worker.
#[derive(Debug, Clone, Default)]
pub struct Vitals {
    /// When the look for a job that is under way began. None is under way while all slots are taken.
    claim: Arc<Mutex<Option<Instant>>>,
    /// When the thread that keeps the leases turned last.
    heart: Arc<Mutex<Option<Instant>>>,
    pub(crate) refusal: Refusal,
}

impl Vitals {
    /// What has stood still for more than 30 s, if anything has: a worker that holds it needs a restart.
    pub fn stalled(&self) -> Option<&'static str> {
        self.stalled_at(Instant::now())
    }

    /// Whether the model service refuses the worker's key: jobs then wait, and one now and then tries it.
    pub fn is_refused_by_model(&self) -> bool {
        self.refusal.is_on()
    }

    fn stalled_at(&self, now: Instant) -> Option<&'static str> {
        let stands = |part: &Mutex<Option<Instant>>| {
            let turned = *part.lock().unwrap_or_else(PoisonError::into_inner);
            turned.is_some_and(|turned| now.duration_since(turned) > LONGEST_STANDSTILL)
        };
        if stands(&self.heart) {
            Some("the thread that keeps the leases")
        } else if stands(&self.claim) {
            Some("the search for the next job")
        } else {
            None
        }
    }

    pub(crate) fn claim_begins(&self) {
        note(&self.claim, Some(Instant::now()));
    }

    pub(crate) fn claim_is_over(&self) {
        note(&self.claim, None);
    }

    pub(crate) fn heart_turns(&self) {
        note(&self.heart, Some(Instant::now()));
    }
}

fn note(part: &Mutex<Option<Instant>>, at: Option<Instant>) {
    *part.lock().unwrap_or_else(PoisonError::into_inner) = at;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_stands_still_is_named() {
        let vitals = Vitals::default();
        let (soon, late) = (Instant::now() + LONGEST_STANDSTILL, Instant::now() + 2 * LONGEST_STANDSTILL);
        assert_eq!(vitals.stalled_at(late), None, "nothing has begun");

        vitals.heart_turns();
        assert_eq!(vitals.stalled_at(soon), None);
        assert_eq!(vitals.stalled_at(late), Some("the thread that keeps the leases"));

        note(&vitals.heart, Some(late));
        vitals.claim_begins();
        assert_eq!(vitals.stalled_at(soon), None);
        assert_eq!(vitals.stalled_at(late), Some("the search for the next job"));

        vitals.claim_is_over();
        assert_eq!(vitals.stalled_at(late), None, "all slots may be taken for hours");
    }
}
