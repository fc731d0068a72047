//! How far a job is, for whoever watches it.

use std::sync::Arc;

use domain::{Cost, StageKey, TokenUsage};

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
