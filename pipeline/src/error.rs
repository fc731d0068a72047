//! Why a job could not be brought to a result.

use std::time::Duration;

use domain::{Cost, Failure, FailureCode, StageKey};

use crate::edits::{DiffError, EditError};
use crate::journal::JournalError;
use crate::llm::LlmError;
use crate::repo::{FetchError, ReadError};

/// Why a job could not be brought to a result.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The repository could not be read from its host.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A file could not be read from the object database.
    #[error("the repository is damaged")]
    Read(#[from] ReadError),
    /// The model did not answer.
    #[error(transparent)]
    Llm(#[from] LlmError),
    /// The job's storage failed, or the job belongs to another worker now.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The repository does not fit the model's window.
    #[error(
        "the repository needs about {tokens} tokens, {limit} fit: choose a model with a larger window or a smaller \
         repository"
    )]
    ContextTooLarge {
        /// What the sheet needs.
        tokens: u64,
        /// What there is room for.
        limit: u64,
    },
    /// The job may see none of the files.
    #[error(
        "none of the repository's {files} files is left by `paths` and `excludePaths`: patterns are matched from the \
         repository's root, as in a .gitignore file"
    )]
    NoMatchingPaths {
        /// Files of the repository.
        files: usize,
    },
    /// The model does not have the effort that the job asks for.
    #[error("model `{model}` has no effort `{effort}`: use one of {supported}")]
    UnsupportedEffort {
        /// The model.
        model: String,
        /// What the job asks for.
        effort: domain::Effort,
        /// What the model has.
        supported: String,
    },
    /// The next call could cost more than the job may.
    #[error("the next call of stage `{stage}` could cost {needed}, but only {left} of the job's {limit} are left")]
    Budget {
        /// The stage that wanted to call.
        stage: StageKey,
        /// Worst case of the call.
        needed: Cost,
        /// What is left.
        left: Cost,
        /// What the job may cost.
        limit: Cost,
    },
    /// The model declined.
    #[error("the model declined the task{}", .category.as_ref().map(|c| format!(" (category {c})")).unwrap_or_default())]
    Refused {
        /// The category that the service names.
        category: Option<String>,
    },
    /// The model's answers could not be used.
    #[error("stage `{stage}`: {reason}")]
    ModelOutput {
        /// The stage that asked.
        stage: StageKey,
        /// What was wrong with the answers.
        reason: String,
    },
    /// The diff must not go out.
    #[error("the diff was rejected: {0}")]
    DiffRejected(String),
    /// The diff could not be made or does not do what it states, or stored edits do not apply any more: a defect of ours.
    #[error("the diff could not be made")]
    Diff(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored stage output or answer does not read: written by another version.
    #[error("the stored output of `{stage}` cannot be read")]
    Stored {
        /// The stage.
        stage: StageKey,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Blocking work panicked.
    #[error("a step of the job crashed")]
    Panicked(#[source] tokio::task::JoinError),
}

impl PipelineError {
    /// What the caller may see of it.
    pub fn failure(&self) -> Failure {
        // What the model service says is for its caller, who has to act on it; other causes stay in the log.
        let message = match self {
            Self::Llm(error) => error.answer().map_or_else(|| error.to_string(), |answer| format!("{error}: {answer}")),
            _ => self.to_string(),
        };
        Failure::new(self.code(), message)
    }

    /// Whether another worker holds the job: nothing may be written any more.
    pub fn is_lease_lost(&self) -> bool {
        matches!(self, Self::Journal(JournalError::LeaseLost))
    }

    /// How long to wait at least before another attempt, when the service said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Llm(error) => error.retry_after(),
            _ => None,
        }
    }

    /// The kind of failure.
    pub(crate) fn code(&self) -> FailureCode {
        match self {
            Self::Fetch(error) => error.code(),
            Self::Llm(error) => error.code(),
            Self::ContextTooLarge { .. } => FailureCode::ContextTooLarge,
            Self::NoMatchingPaths { .. } => FailureCode::NoMatchingPaths,
            Self::UnsupportedEffort { .. } => FailureCode::ModelInvalidRequest,
            Self::Budget { .. } => FailureCode::BudgetExceeded,
            Self::Refused { .. } => FailureCode::ModelRefused,
            Self::ModelOutput { .. } => FailureCode::ModelOutputInvalid,
            Self::DiffRejected(_) => FailureCode::DiffRejected,
            Self::Read(_) | Self::Journal(_) | Self::Diff(_) | Self::Stored { .. } | Self::Panicked(_) => {
                FailureCode::Internal
            }
        }
    }
}

impl From<DiffError> for PipelineError {
    fn from(error: DiffError) -> Self {
        Self::Diff(error.into())
    }
}

impl From<EditError> for PipelineError {
    fn from(error: EditError) -> Self {
        Self::Diff(error.into())
    }
}
