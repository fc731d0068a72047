//! The nouns of tinygen: plain data that every other crate speaks about.
//!
//! Nothing here does I/O and nothing is async. A value of these types is valid by construction: text from outside
//! becomes a [`RepoUrl`], a [`RepoPath`] or a [`JobId`] by `parse`, or it becomes an error that says what to do.

mod call;
mod cost;
mod edit;
mod failure;
mod job;
mod key;
mod path;
mod path_filter;
mod priority;
mod repo;
mod result;
mod stage;
mod strategy;
mod webhook_url;

pub use call::{CallId, CallRecord, CallReservation, TokenUsage};
pub use cost::{Cost, ParseCostError};
pub use edit::Edit;
pub use failure::{Failure, FailureCode};
pub use job::{
    DEFAULT_TIMEOUT_SECONDS, JobId, JobSpec, JobStatus, MAX_ATTEMPTS, MAX_METADATA_BYTES, MAX_METADATA_PAIRS,
    MAX_PATH_PATTERNS, MAX_PROMPT_BYTES, MAX_TIMEOUT_SECONDS, ParseNameError,
};
pub use key::{KeyId, KeyScope};
pub use path::{MAX_PATH_BYTES, PathError, RepoPath};
pub use path_filter::{MAX_PATTERN_BYTES, PathFilter, PathPattern, PathPatternError};
pub use priority::Priority;
pub use repo::{CommitId, CommitIdError, GitRef, RefError, RepoUrl, RepoUrlError};
pub use result::{FileChange, FileChangeKind, Flag, FlagKind, JobResult, Outcome, Receipt};
pub use stage::{StageKey, StageKind, StageRecord};
pub use strategy::{Effort, Strategy};
pub use webhook_url::{WebhookUrl, WebhookUrlError};
