//! What all jobs of a process share: the model, the way to repositories, the settings, and what the bills taught.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::llm::LanguageModel;
use crate::repo::Fetcher;
use crate::sheet::{Calibration, SheetLimits, TokenCounts};

/// A sheet below this is no larger than what surrounds it.
const MIN_TELLING_TOKENS: u64 = 50_000;

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

/// What all jobs of a process share.
pub(crate) struct Shared {
    pub(crate) model: Arc<dyn LanguageModel>,
    pub(crate) fetcher: Fetcher,
    pub(crate) config: PipelineConfig,
    /// What the bills taught about the estimate of tokens, by model.
    calibrations: Mutex<HashMap<String, Calibration>>,
}

impl Shared {
    pub(crate) fn new(model: Arc<dyn LanguageModel>, fetcher: Fetcher, config: PipelineConfig) -> Self {
        Self { model, fetcher, config, calibrations: Mutex::default() }
    }

    /// The correction for a model's count of tokens.
    pub(crate) fn calibration(&self, model: &str) -> Calibration {
        self.calibrations().get(model).cloned().unwrap_or_default()
    }

    /// Learns from a bill: what was estimated for a sheet, and what the service counted for it, as far as that can be told
    /// from the rest. The bill of a small sheet tells more about the rest and teaches nothing.
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
