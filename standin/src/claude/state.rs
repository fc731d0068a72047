//! What a server holds between requests.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cache::PromptCache;
use super::ledger::{BilledUsage, Ledger};
use super::models::{self, Model};
use super::prompt::Position;
use super::recording::{Recorder, Recording};
use super::{Options, Script};

/// Everything the routes share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) answers: Answers,
    pub(super) models: Vec<Model>,
    pub(super) ledger: Ledger,
    cache: Mutex<PromptCache>,
    started: Instant,
    skipped: Mutex<Duration>,
}

/// Where replies come from.
pub(super) enum Answers {
    Script(Box<dyn Script>),
    Replay(Arc<Recording>),
    Record(Arc<Recorder>),
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Script(_) => "Script",
            Self::Replay(_) => "Replay",
            Self::Record(_) => "Record",
        })
    }
}

impl State {
    pub(super) fn new(options: Options, answers: Answers) -> Self {
        Self {
            options,
            answers,
            models: models::load(),
            ledger: Ledger::new(),
            cache: Mutex::default(),
            started: Instant::now(),
            skipped: Mutex::default(),
        }
    }

    /// Time since the server was started, and what was skipped.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed() + *self.skipped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn advance(&self, time: Duration) {
        *self.skipped.lock().unwrap_or_else(PoisonError::into_inner) += time;
    }

    /// The cache's part in an answer to a request that began at `began`.
    pub(super) fn read_and_write_cache(&self, prompt: &[Position], model: &Model, began: Duration) -> BilledUsage {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.answer(prompt, model.min_cache_tokens, began)
    }
}
