//! Whether this process has heard from the database long enough to tell a lost worker from one that could not be heard.
//!
//! While the database is away no worker can renew its lease, so after it all leases have run out, and nobody is lost. Each
//! worker renews as soon as it can; who has just heard from the database again must let it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When the database answered. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contact(Arc<Mutex<Option<Answers>>>);

/// Answers without a pause between them that could hide an outage.
#[derive(Debug, Clone, Copy)]
struct Answers {
    first: Instant,
    last: Instant,
}

impl Contact {
    /// The database has answered. A pause since the last answer that is longer than `max_pause` counts as an outage: a
    /// process that sweeps hears from it every few seconds.
    pub(crate) fn heard(&self, max_pause: Duration) {
        let now = Instant::now();
        let mut answers = self.lock();
        let first = answers.filter(|answers| now.duration_since(answers.last) <= max_pause).map_or(now, |a| a.first);
        *answers = Some(Answers { first, last: now });
    }

    /// The database has not answered.
    pub(crate) fn lost(&self) {
        *self.lock() = None;
    }

    /// Whether the database has been there for so long.
    pub(crate) fn is_steady_for(&self, time: Duration) -> bool {
        self.lock().is_some_and(|answers| answers.first.elapsed() >= time)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Answers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[test]
    fn is_steady_only_without_a_pause_and_without_a_failure() {
        let contact = Contact::default();
        assert!(!contact.is_steady_for(Duration::ZERO), "nothing was heard yet");
        contact.heard(LONG);
        assert!(contact.is_steady_for(Duration::ZERO));
        assert!(!contact.is_steady_for(LONG), "it has only begun");

        let begun = contact.lock().expect("heard").first;
        contact.heard(LONG);
        assert_eq!(contact.lock().expect("heard").first, begun, "it goes on");
        contact.heard(Duration::ZERO);
        assert!(contact.lock().expect("heard").first > begun, "after a pause it begins again");
        contact.lost();
        assert!(!contact.is_steady_for(Duration::ZERO));
    }
}
