//! (snapshot, prompt) → diff.
//!
//! [`Pipeline::run`] reads a repository at one commit, lets a model work on it in several passes and computes the diff
//! from the edits the model asked for. It knows nothing of SQL, queues or HTTP servers: what it must remember goes
//! through a [`Journal`], what it asks goes through a [`LanguageModel`], and all its traffic through `egress`.

mod checks;
mod edits;
mod journal;
pub mod llm;
pub mod repo;
mod sheet;
mod text;

pub use journal::{Journal, JournalError};
pub use sheet::{Calibration, Sheet, SheetLimits, TokenCounts};
