//! The façade: one job's specification in, its result out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Cost, JobResult, JobSpec, StageKey, TokenUsage};

use crate::error::PipelineError;
use crate::journal::Journal;
use crate::llm::LanguageModel;
use crate::repo::Fetcher;
use crate::run::Run;
use crate::sheet::{Calibration, SheetLimits, TokenCounts};
use crate::strategy;

/// What the operator decides for all jobs.
#[derive(Debug, Clone)]
pub struct PipelineConfig {
    /// Model of a job that names none.
    pub model: String,
    /// Bound on one answer, thinking included, in tokens; the model's own bound when that is smaller.
    pub max_output_tokens: u32,
    /// Largest sheet, in tokens, whatever the model's window is.
    pub max_sheet_tokens: u64,
    /// What of a repository goes into the sheet.
    pub sheet: SheetLimits,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            model: "claude-opus-5-5".to_owned(),
            max_output_tokens: 64_000,
            max_sheet_tokens: 850_000,
            sheet: SheetLimits::default(),
        }
    }
}

/// A sheet below this is no larger than what surrounds it.
const MIN_TELLING_TOKENS: u64 = 50_000;

/// Who wants to know how far a job is. Called from the job's own task: it must return at once.
pub type Progress = Arc<dyn Fn(ProgressEvent) + Send + Sync>;

/// Something that happened to a running job.
#[derive(Debug, Clone)]
pub enum ProgressEvent {
    /// Work on a stage begins.
    StageStarted {
        /// Which stage.
        key: StageKey,
    },
    /// A stage is done and stored.
    StageFinished {
        /// Which stage.
        key: StageKey,
        /// Whether its output was there from an earlier attempt.
        resumed: bool,
    },
    /// A call to the model ended and is accounted for.
    CallSettled {
        /// The stage that made it.
        stage: StageKey,
        /// What it used.
        usage: TokenUsage,
        /// What it cost.
        cost: Cost,
    },
    /// The model's visible answer grew.
    Text {
        /// The stage that asked.
        stage: StageKey,
        /// The new piece.
        text: String,
    },
}

/// Turns jobs into diffs. Cheap to clone.
#[derive(Clone)]
pub struct Pipeline {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) model: Arc<dyn LanguageModel>,
    pub(crate) fetcher: Fetcher,
    pub(crate) config: PipelineConfig,
    /// What the bills taught about the estimate of tokens, by model.
    calibrations: Mutex<HashMap<String, Calibration>>,
}

impl Shared {
    /// The correction for a model's count of tokens.
    pub(crate) fn calibration(&self, model: &str) -> Calibration {
        self.calibrations().get(model).cloned().unwrap_or_default()
    }

    /// Learns from a bill: what was estimated for the sheet, and what the service counted for all of the input. The bill of
    /// a small sheet tells more about our own texts and teaches nothing.
    pub(crate) fn observe(&self, model: &str, estimated: &TokenCounts, actual_tokens: u64) {
        if estimated.total() < MIN_TELLING_TOKENS {
            return;
        }
        self.calibrations().entry(model.to_owned()).or_default().observe(estimated, actual_tokens);
    }

    fn calibrations(&self) -> MutexGuard<'_, HashMap<String, Calibration>> {
        self.calibrations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipeline {
    /// A pipeline that asks `model` and reads repositories through `fetcher`.
    pub fn new(model: Arc<dyn LanguageModel>, fetcher: Fetcher, config: PipelineConfig) -> Self {
        Self { shared: Arc::new(Shared { model, fetcher, config, calibrations: Mutex::default() }) }
    }

    /// Runs a job to its result.
    ///
    /// What `journal` holds from an earlier attempt is used and not paid for again. Dropping the future stops the work
    /// at once and closes the stream to the model.
    ///
    /// # Errors
    /// [`PipelineError`]; what was finished before stays in the journal.
    pub async fn run(
        &self,
        spec: &JobSpec,
        journal: Arc<dyn Journal>,
        progress: Progress,
    ) -> Result<JobResult, PipelineError> {
        let run = Run::start(self.shared.clone(), spec, journal, progress).await?;
        strategy::run(&run).await
    }
}
