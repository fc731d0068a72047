//! The sheet: the document of paths and contents that pass 1 builds.
//!
//! [`Sheet::build`] lists every file and reads those a model can use ([`inventory`], by the rules of [`classify`]), writes
//! them down in one order ([`document`]) and says how many tokens that is ([`tokens`], corrected by [`calibration`]).
//!
//! Content that looks like a secret is not hidden in a sheet, only files whose name says that they hold secrets are: an
//! edit must find the text that the model saw.

mod attributes;
mod calibration;
mod classify;
mod document;
mod inventory;
mod language;
mod rules;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::BTreeMap;

use domain::RepoPath;
use serde::{Deserialize, Serialize};

pub use calibration::Calibration;
pub(crate) use classify::FileClass;
pub(crate) use language::{Language, Role};
pub use tokens::TokenCounts;
pub(crate) use tokens::{TextKind, estimate_tokens, upper_bound_tokens};

use document::Unlisted;

use crate::repo::{ReadError, Snapshot};

/// What goes into a sheet.
#[derive(Debug, Clone)]
pub struct SheetLimits {
    /// Larger files are named only.
    pub max_file_bytes: u64,
    /// Files with longer lines, on average, are named only (prose aside).
    pub max_mean_line_bytes: usize,
    /// Of more files than this with one extension in one folder, all are named only, when they look like fixtures.
    pub max_alike_files: usize,
    /// Files beyond this are named only. Far above any window, and a bound on the memory that a sheet takes.
    pub max_total_bytes: u64,
    /// Threads that read.
    pub threads: usize,
}

impl Default for SheetLimits {
    fn default() -> Self {
        Self {
            max_file_bytes: 256_000,
            max_mean_line_bytes: 500,
            max_alike_files: 64,
            max_total_bytes: 64 << 20,
            threads: std::thread::available_parallelism().map_or(2, |cores| cores.get().min(4)),
        }
    }
}

/// A repository as one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// The document: equal bytes for equal trees and limits.
    pub text: String,
    /// What marks the boundaries between files in `text`; no file contains it.
    pub boundary: String,
    /// Files listed.
    pub files: usize,
    /// Files with their content.
    pub shown: usize,
    /// Files without, empty ones aside: a model that has not seen a file must not edit it.
    pub withheld: BTreeMap<RepoPath, Withheld>,
    /// Tokens of `text` as estimated, before any correction: what [`Calibration::observe`] takes. Files that the sheet had
    /// no room for count too, by the most they can have.
    pub estimated: TokenCounts,
    /// The most likely number of tokens.
    pub tokens: u64,
    /// A number of tokens that is hardly ever exceeded.
    pub tokens_at_most: u64,
}

/// A file whose content is not in the sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// What the file is, such as `lock file`.
    pub class: String,
    /// Whether its name says that it holds secrets: then it is never shown, whoever asks.
    pub is_secret: bool,
}

impl Sheet {
    /// Reads a snapshot into a sheet. Blocks; uses [`SheetLimits::threads`] threads.
    ///
    /// # Errors
    /// [`ReadError`] when an object that is here cannot be read.
    pub fn build(snapshot: &Snapshot, limits: &SheetLimits, calibration: &Calibration) -> Result<Self, ReadError> {
        let tree = snapshot.tree();
        let rows = inventory::read(snapshot, limits, &document::short_boundary(tree))?;
        let document::Document { text, boundary, estimated } = document::render(tree, &rows, Unlisted::of(snapshot));
        Ok(Self {
            text,
            boundary,
            files: rows.len(),
            shown: rows.iter().filter(|row| matches!(row.content, inventory::Content::Shown(_))).count(),
            withheld: withheld(&rows),
            estimated,
            tokens: calibration.correct(&estimated),
            tokens_at_most: calibration.correct_cautiously(&estimated),
        })
    }
}

fn withheld(rows: &[inventory::FileRow<'_>]) -> BTreeMap<RepoPath, Withheld> {
    let is_withheld = |row: &&inventory::FileRow<'_>| match &row.content {
        inventory::Content::Shown(_) | inventory::Content::LeftOut(inventory::Reason::Empty) => false,
        inventory::Content::LeftOut(_) => true,
    };
    let describe = |row: &inventory::FileRow<'_>| {
        let is_secret = row.class == FileClass::Secret;
        (row.path.clone(), Withheld { class: row.class.to_string(), is_secret })
    };
    rows.iter().filter(is_withheld).map(describe).collect()
}
