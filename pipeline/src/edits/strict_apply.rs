//! Applies a Git patch by the letter.
//!
//! `git apply` looks for a hunk's place, forgives blanks and recounts. This applier does none of it: a hunk belongs at
//! the line it names, its counts are right, its context is the file's text byte for byte, and every file has the id the
//! header says, before and after. What passes here passes everywhere. It knows the format from
//! `git-diff(1)` ("Generating patch text with -p") and shares no code with libgit2.

mod binary;
mod hunk;
mod parse;
mod path;

use std::collections::BTreeMap;

use domain::RepoPath;
use git2::{ObjectType, Oid};

use crate::repo::FileMode;
use parse::{Body, FilePatch, Side};

/// Which way a patch is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the base to the result.
    Forward,
    /// From the result to the base.
    Reverse,
}

/// A file's mode and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) mode: FileMode,
    pub(crate) bytes: Vec<u8>,
}

/// Why a patch does not apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PatchError {
    /// The text is not a patch as Git prints it.
    #[error("line {line} of the patch: {problem}")]
    Syntax {
        /// Line of the patch, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file it changes is not there, or one it adds is.
    #[error("{path}: {problem}")]
    Files {
        /// The file.
        path: RepoPath,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A hunk is not what the file has at that place.
    #[error("{path}: hunk {hunk} is not what the file has there")]
    Hunk {
        /// The file.
        path: RepoPath,
        /// Which hunk, from 1.
        hunk: usize,
    },
}

/// Applies `patch` to `files` and gives what they are then. The patch may list its files in any order: all are read
/// before any is written.
///
/// # Errors
/// [`PatchError`] when anything is not exactly as the patch says.
pub(crate) fn apply(
    patch: &[u8],
    direction: Direction,
    files: &BTreeMap<RepoPath, File>,
) -> Result<BTreeMap<RepoPath, File>, PatchError> {
    let mut patches = parse::parse(patch)?;
    if direction == Direction::Reverse {
        patches = patches.into_iter().map(FilePatch::reversed).collect();
    }
    let mut result = files.clone();
    let mut written = Vec::new();
    for patch in &patches {
        if let Some(file) = patched(patch, files)? {
            written.push(file);
        }
    }
    for old in patches.iter().filter_map(|patch| patch.old.as_ref()) {
        if result.remove(&old.path).is_none() {
            return Err(problem(&old.path, "it is changed twice"));
        }
    }
    for (path, file) in written {
        if result.insert(path.clone(), file).is_some() {
            return Err(problem(&path, "it exists already"));
        }
    }
    Ok(result)
}

/// The file a patch of one file leaves behind; `None` when it deletes it.
fn patched(patch: &FilePatch<'_>, files: &BTreeMap<RepoPath, File>) -> Result<Option<(RepoPath, File)>, PatchError> {
    let empty = File { mode: FileMode::Regular, bytes: Vec::new() };
    let before = match &patch.old {
        Some(side) => {
            let found = files.get(&side.path).ok_or_else(|| problem(&side.path, "it does not exist"))?;
            check(side, found)?;
            found
        }
        None => &empty,
    };
    let name = patch.path();
    let bytes = match &patch.body {
        Body::Unchanged => before.bytes.clone(),
        Body::Text(hunks) => {
            hunk::apply(hunks, &before.bytes).map_err(|hunk| PatchError::Hunk { path: name.clone(), hunk: hunk + 1 })?
        }
        Body::Binary { forward, .. } => {
            forward.apply(&before.bytes).ok_or_else(|| problem(name, "its binary patch is damaged"))?
        }
    };
    let Some(side) = &patch.new else {
        return if bytes.is_empty() { Ok(None) } else { Err(problem(name, "it is deleted but not empty")) };
    };
    let after = File { mode: side.mode.unwrap_or(before.mode), bytes };
    check(side, &after)?;
    Ok(Some((side.path.clone(), after)))
}

/// Whether a file has the mode and the id that the patch gives it.
fn check(side: &Side, file: &File) -> Result<(), PatchError> {
    if side.mode.is_some_and(|mode| mode != file.mode) {
        return Err(problem(&side.path, "it has another mode"));
    }
    let Some(id) = side.id else { return Ok(()) };
    if Oid::hash_object(ObjectType::Blob, &file.bytes) == Ok(id) {
        Ok(())
    } else {
        Err(problem(&side.path, "it has another content"))
    }
}

fn problem(path: &RepoPath, problem: &'static str) -> PatchError {
    PatchError::Files { path: path.clone(), problem }
}
