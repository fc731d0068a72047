//! What the pipeline says of a running job, on its way to those who watch the job.
//!
//! The pipeline speaks with every few characters of the model; watchers are told ten times a second, and twice how far a
//! stage is. Nothing here waits for a watcher or is kept for one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use domain::{Cost, JobId, StageKey, TokenUsage};
use jobs::{Jobs, LiveEvent, LiveNews};
use pipeline::{Progress, ProgressEvent};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// For how long text is gathered before it is told.
const TEXT_EVERY: Duration = Duration::from_millis(100);
/// How often a stage's progress is told at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// Text that is told at once, in bytes.
const MAX_TEXT: usize = 16 * 1024;

/// Tells those who watch a job what its attempt says, until it is dropped.
pub(crate) struct Teller {
    voice: Arc<Voice>,
    telling: AbortHandle,
}

struct Voice {
    jobs: Jobs,
    job_id: JobId,
    /// The stages that are worked on.
    stages: Mutex<HashMap<StageKey, StageVoice>>,
    has_news: Notify,
}

/// What one stage has said in this attempt.
#[derive(Default)]
struct StageVoice {
    calls: u64,
    usage: TokenUsage,
    cost: Cost,
    /// Characters that were told.
    characters: u64,
    /// The text after them.
    untold: String,
    is_progress_told: bool,
    progress_told_at: Option<Instant>,
}

impl Teller {
    /// Begins to tell of the job.
    pub(crate) fn start(jobs: &Jobs, job_id: JobId) -> Self {
        let voice = Voice { jobs: jobs.clone(), job_id, stages: Mutex::default(), has_news: Notify::new() };
        let voice = Arc::new(voice);
        let telling = tokio::spawn(tell(voice.clone())).abort_handle();
        Self { voice, telling }
    }

    /// The callback that the pipeline calls.
    pub(crate) fn progress(&self) -> Progress {
        let voice = self.voice.clone();
        Arc::new(move |event| voice.hear(event))
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.telling.abort();
    }
}

async fn tell(voice: Arc<Voice>) {
    loop {
        voice.has_news.notified().await;
        sleep(TEXT_EVERY).await;
        if voice.tell_all() {
            voice.has_news.notify_one();
        }
    }
}

impl Voice {
    fn hear(&self, event: ProgressEvent) {
        match event {
            // The event of the same name tells of both; the rest of the text comes before what is said of other stages.
            ProgressEvent::StageStarted { key } => drop(self.lock().insert(key, StageVoice::default())),
            ProgressEvent::StageFinished { key, .. } => {
                if let Some(mut stage) = self.lock().remove(&key) {
                    self.tell_text(&key, &mut stage);
                }
            }
            ProgressEvent::CallSettled { stage: key, usage, cost } => {
                let mut stages = self.lock();
                let stage = stages.entry(key).or_default();
                stage.calls += 1;
                stage.usage += usage;
                stage.cost += cost;
                stage.is_progress_told = false;
            }
            ProgressEvent::Text { stage: key, text } => {
                let mut stages = self.lock();
                let stage = stages.entry(key.clone()).or_default();
                stage.untold.push_str(&text);
                stage.is_progress_told = false;
                if stage.untold.len() >= MAX_TEXT {
                    self.tell_text(&key, stage);
                }
            }
        }
        self.has_news.notify_one();
    }

    /// Tells what may be told now; says whether there is more to be told later.
    fn tell_all(&self) -> bool {
        let now = Instant::now();
        let mut has_more = false;
        for (key, stage) in self.lock().iter_mut() {
            self.tell_text(key, stage);
            if stage.is_progress_told {
                continue;
            }
            if stage.progress_told_at.is_some_and(|at| now < at + PROGRESS_EVERY) {
                has_more = true;
                continue;
            }
            (stage.is_progress_told, stage.progress_told_at) = (true, Some(now));
            let StageVoice { calls, characters, usage, cost, .. } = *stage;
            self.tell(key, LiveNews::Progress { calls, characters, usage, cost });
        }
        has_more
    }

    fn tell_text(&self, key: &StageKey, stage: &mut StageVoice) {
        if stage.untold.is_empty() {
            return;
        }
        let (offset, text) = (stage.characters, std::mem::take(&mut stage.untold));
        stage.characters += text.chars().count() as u64;
        self.tell(key, LiveNews::Text { offset, text });
    }

    fn tell(&self, key: &StageKey, news: LiveNews) {
        self.jobs.tell(self.job_id, LiveEvent { stage: key.clone(), at: Utc::now(), news });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StageKey, StageVoice>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
