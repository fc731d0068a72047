//! Edits → diff.

use domain::RepoPath;

use crate::repo::FileMode;

/// A file that differs from the base.
pub(crate) struct ChangedFile {
    pub(crate) path: RepoPath,
    pub(crate) old_path: Option<RepoPath>,
    pub(crate) before: Option<Vec<u8>>,
    pub(crate) after: Option<Vec<u8>>,
    pub(crate) mode: FileMode,
}
