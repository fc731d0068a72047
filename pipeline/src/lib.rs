//! (snapshot, prompt) → diff.
//!
//! [`Pipeline::run`] reads a repository at one commit, lets a model work on it in several passes and computes the diff
//! from the edits the model asked for. It knows nothing of SQL, queues or HTTP servers: what it must remember goes
//! through a [`Journal`], what it asks goes through a [`llm::LanguageModel`], and all its traffic through `egress`.

mod call;
mod checks;
mod conversation;
mod digest;
mod draft;
mod edits;
mod error;
mod evidence;
mod focus;
mod journal;
pub mod llm;
mod pipeline;
mod progress;
pub mod repo;
mod result;
mod run;
mod shared;
mod sheet;
mod stage;
mod strategy;
mod tally;
mod template;
mod text;
mod tool_call;

pub use error::PipelineError;
pub use journal::{Journal, JournalError, MemoryJournal};
pub use pipeline::Pipeline;
pub use progress::{Progress, ProgressEvent};
pub use shared::PipelineConfig;
pub use sheet::{Calibration, Sheet, SheetLimits, TokenCounts};
