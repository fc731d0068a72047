//! One operation the model asked for.

use serde::{Deserialize, Serialize};

use crate::RepoPath;

/// One operation on the repository's files, as the model asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Edit {
    /// Replace a text that is in the file exactly once, or everywhere.
    Replace {
        /// The file.
        path: RepoPath,
        /// The text to find.
        old: String,
        /// The text to put in its place.
        new: String,
        /// Replace every occurrence instead of the only one.
        replace_all: bool,
    },
    /// Give a file a new content; makes the file when there is none.
    Write {
        /// The file.
        path: RepoPath,
        /// All of its text.
        content: String,
        /// Whether a new file is executable; an existing file keeps its mode.
        executable: bool,
    },
    /// Remove a file.
    Delete {
        /// The file.
        path: RepoPath,
    },
    /// Give a file another path.
    Move {
        /// Where it is.
        from: RepoPath,
        /// Where it shall be.
        to: RepoPath,
    },
}
