//! The promise of every job: the diff, applied to the base, gives exactly the result; and back.
//!
//! The proof shares nothing with the printing of the diff. The differing files of the two trees come from our own walk,
//! the patch is carried out by our own applier ([`super::strict_apply`]), and both must agree on every byte and mode.

use std::collections::BTreeMap;

use domain::RepoPath;
use git2::{Oid, Repository};

use super::strict_apply::{self, Direction, File, PatchError};
use super::tree_delta::{self, Leaf};
use super::{FileState, scratch};

/// How the promise is broken: always a defect of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The patch cannot be applied.
    #[error("the diff does not apply ({0:?})")]
    Patch(Direction, #[source] PatchError),
    /// It can, but gives something else.
    #[error("the diff gives another tree ({0:?})")]
    OtherTree(Direction),
    /// The result tree does not hold what the edits made.
    #[error("the result tree is not what the edits made")]
    OtherEdits,
    /// Git cannot read what it wrote.
    #[error("the edited tree cannot be read")]
    Git(#[from] git2::Error),
}

/// Proves that `patch` leads from the base tree to the result tree and back, and that the result tree is the base with
/// exactly `states` changed.
///
/// # Errors
/// [`Broken`] says what does not hold.
pub(super) fn prove(
    repository: &Repository,
    patch: &[u8],
    (base_tree, result_tree): (Oid, Oid),
    states: &BTreeMap<&RepoPath, Option<&FileState>>,
) -> Result<(), Broken> {
    let deltas = tree_delta::between(repository, base_tree, result_tree)?;
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    for (path, delta) in &deltas {
        if let Some(leaf) = delta.before {
            before.insert(path.clone(), read(repository, leaf)?);
        }
        if let Some(leaf) = delta.after {
            after.insert(path.clone(), read(repository, leaf)?);
        }
    }
    let is_as_edited = deltas.len() == states.len()
        && states.iter().all(|(path, state)| match (state, after.get(*path)) {
            (Some(state), Some(file)) => state.mode == file.mode && *state.bytes == *file.bytes,
            (None, None) => before.contains_key(*path),
            _ => false,
        });
    if !is_as_edited {
        return Err(Broken::OtherEdits);
    }
    for (direction, from, to) in [(Direction::Forward, &before, &after), (Direction::Reverse, &after, &before)] {
        let result = strict_apply::apply(patch, direction, from).map_err(|error| Broken::Patch(direction, error))?;
        if result != *to {
            return Err(Broken::OtherTree(direction));
        }
    }
    Ok(())
}

fn read(repository: &Repository, leaf: Leaf) -> Result<File, git2::Error> {
    Ok(File { mode: leaf.mode, bytes: scratch::read(repository, leaf.oid)? })
}
