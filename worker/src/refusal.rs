//! While the model service refuses our key, every job would fail one after the other: so only one now and then is tried.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

/// The longest pause between two jobs that try it.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Whether the model service takes our key, as far as the latest jobs tell. Clones tell of the same worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusal(Arc<Mutex<Option<Pause>>>);

#[derive(Debug, Clone, Copy)]
struct Pause {
    length: Duration,
    until: Instant,
}

impl Refusal {
    /// Whether it was refused last.
    pub(crate) fn is_on(&self) -> bool {
        self.lock().is_some()
    }

    /// A job failed because the key was refused. The first pause is so long; later ones are twice as long as the one before.
    pub(crate) fn begins(&self, first_pause: Duration) {
        let mut pause = self.lock();
        if pause.is_none() {
            *pause = Some(Pause { length: first_pause, until: Instant::now() + first_pause });
            warn!("The model service refuses our key or account; jobs wait, and one now and then tries it");
        }
    }

    /// The model answered.
    pub(crate) fn is_over(&self) {
        if self.lock().take().is_some() {
            info!("The model service takes our key again");
        }
    }

    /// How long to leave jobs where they are; nothing: one may be tried. The next one then has to wait.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let mut pause = self.lock();
        let Pause { length, until } = pause.as_mut()?;
        let now = Instant::now();
        if now < *until {
            return Some(*until - now);
        }
        *length = (*length * 2).min(LONGEST_PAUSE);
        *until = now + *length;
        None
    }

    fn lock(&self) -> MutexGuard<'_, Option<Pause>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_one_job_through_after_each_pause() {
        let refusal = Refusal::default();
        assert_eq!((refusal.is_on(), refusal.pause()), (false, None));
        refusal.begins(Duration::ZERO);
        assert_eq!((refusal.is_on(), refusal.pause()), (true, None));
        refusal.is_over();
        refusal.begins(Duration::from_hours(1));
        refusal.begins(Duration::ZERO);
        assert!(refusal.pause().is_some_and(|pause| pause > Duration::from_mins(59)), "it goes on");
        refusal.0.lock().expect("whole").as_mut().expect("refused").until = Instant::now();
        assert_eq!(refusal.pause(), None);
        assert!(refusal.pause().is_some_and(|pause| pause > Duration::from_mins(4)), "for those beside that one");
        refusal.is_over();
        assert_eq!((refusal.is_on(), refusal.pause()), (false, None));
    }
}
