//! From the edited files to a diff with its proof.

use std::collections::BTreeMap;

use domain::{FileChange, FileChangeKind, Receipt, RepoPath};
use git2::{Delta, Diff, DiffFindOptions, DiffFormat, DiffLineType, DiffOptions, Oid, Repository};

use super::invariant::{self, Broken};
use super::{FileState, scratch};
use crate::digest::sha256_hex;
use crate::repo::Snapshot;

/// Lines around each change.
const CONTEXT_LINES: u32 = 3;
/// Full ids: with them a binary patch applies anywhere, and every applier can check what it has.
const ID_DIGITS: u16 = 40;

/// A diff that is proven to lead from the base tree to the result tree and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patch {
    /// What `git apply` takes; empty when nothing has changed. Bytes: files need not be UTF-8.
    pub(crate) diff: Vec<u8>,
    /// The proof that goes with it.
    pub(crate) receipt: Receipt,
    /// The files it touches, by path.
    pub(crate) files: Vec<FileChange>,
}

/// Why there is no diff.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiffError {
    /// The diff does not prove right. A defect of ours: the job must fail loudly.
    #[error("the diff failed its proof")]
    Invariant(#[from] Broken),
    /// Git cannot write the tree or print the diff.
    #[error("git cannot make the diff")]
    Git(#[from] git2::Error),
}

/// Whether a file deleted here and added there is printed as one that was renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renames {
    Shown,
    Split,
}

impl Patch {
    /// The patch of a tree that nothing has changed in.
    pub(crate) fn empty(base: &Snapshot) -> Self {
        Self { diff: Vec::new(), receipt: receipt(base, base.tree(), &[]), files: Vec::new() }
    }
}

/// Writes the edited tree, prints the diff and proves it.
///
/// # Errors
/// [`DiffError`].
pub(super) fn build(
    base: &Snapshot,
    states: &BTreeMap<&RepoPath, Option<&FileState>>,
    has_moves: bool,
) -> Result<Patch, DiffError> {
    let repository = scratch::over(base)?;
    let trees = (base.tree(), scratch::write_tree(&repository, base.tree(), states)?);
    let prove = |printed: Printed| {
        invariant::prove(&repository, &printed.diff, trees, states).map(|()| printed).map_err(DiffError::from)
    };
    let printed = if has_moves && !changes_a_type(base, states) {
        // A rename is for the reader's eyes only. Should it ever not prove right, the plain diff says the same.
        print(&repository, trees, Renames::Shown)
            .and_then(prove)
            .or_else(|_| print(&repository, trees, Renames::Split).and_then(prove))?
    } else {
        print(&repository, trees, Renames::Split).and_then(prove)?
    };
    let receipt = receipt(base, trees.1, &printed.diff);
    Ok(Patch { diff: printed.diff, receipt, files: printed.files })
}

fn receipt(base: &Snapshot, result: Oid, diff: &[u8]) -> Receipt {
    Receipt {
        base_commit: base.commit().clone(),
        base_tree: base.tree().to_string(),
        result_tree: result.to_string(),
        patch_sha256: sha256_hex(diff),
    }
}

/// Whether a link becomes a file: printed beside a rename, Git puts the new file before the deletion of the old one.
fn changes_a_type(base: &Snapshot, states: &BTreeMap<&RepoPath, Option<&FileState>>) -> bool {
    states.iter().any(|(path, state)| {
        let before = base.entries().get(*path);
        before.zip(*state).is_some_and(|(before, after)| before.mode.is_file() != after.mode.is_file())
    })
}

struct Printed {
    diff: Vec<u8>,
    files: Vec<FileChange>,
}

fn print(repository: &Repository, (base, result): (Oid, Oid), renames: Renames) -> Result<Printed, DiffError> {
    let mut options = DiffOptions::new();
    options
        .context_lines(CONTEXT_LINES)
        .interhunk_lines(0)
        .show_binary(true)
        .id_abbrev(ID_DIGITS)
        .indent_heuristic(true)
        // Given here, so that no configuration of the machine gives others.
        .old_prefix("a/")
        .new_prefix("b/");
    let (base, result) = (repository.find_tree(base)?, repository.find_tree(result)?);
    let mut diff = repository.diff_tree_to_tree(Some(&base), Some(&result), Some(&mut options))?;
    if renames == Renames::Shown {
        diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
    }
    let mut bytes = Vec::new();
    diff.print(DiffFormat::Patch, |delta, _, line| {
        // libgit2 says "Binary files differ" of a binary file that was only renamed, which no applier takes.
        if line.origin_value() == DiffLineType::Binary && delta.old_file().id() == delta.new_file().id() {
            return true;
        }
        if matches!(line.origin(), ' ' | '+' | '-') {
            bytes.extend(u8::try_from(line.origin()));
        }
        bytes.extend_from_slice(line.content());
        true
    })?;
    Ok(Printed { diff: bytes, files: file_changes(&diff)? })
}

fn file_changes(diff: &Diff<'_>) -> Result<Vec<FileChange>, git2::Error> {
    let mut files = Vec::new();
    for (index, delta) in diff.deltas().enumerate() {
        let (old, new) = (scratch::repo_path(delta.old_file().path()), scratch::repo_path(delta.new_file().path()));
        let kind = match delta.status() {
            Delta::Added => FileChangeKind::Added,
            Delta::Deleted => FileChangeKind::Deleted,
            Delta::Renamed => FileChangeKind::Renamed,
            _ => FileChangeKind::Modified,
        };
        let Some(new_path) = new.or_else(|| old.clone()) else { continue };
        let (_, additions, deletions) = match git2::Patch::from_diff(diff, index)? {
            Some(lines) => lines.line_stats()?,
            None => (0, 0, 0),
        };
        files.push(FileChange {
            old_path: old.filter(|_| kind == FileChangeKind::Renamed),
            path: new_path,
            kind,
            additions: additions as u64,
            deletions: deletions as u64,
        });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    // A link that became a file is printed as gone and new; to a reader it is one file that changed.
    files.dedup_by(|second, first| {
        let is_same = first.path == second.path;
        if is_same {
            first.kind = FileChangeKind::Modified;
            first.additions += second.additions;
            first.deletions += second.deletions;
        }
        is_same
    });
    Ok(files)
}
