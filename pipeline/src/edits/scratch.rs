//! A repository in memory, over the objects of the snapshot: edited files and trees live and die in it.

use std::collections::BTreeMap;
use std::path::Path;

use domain::RepoPath;
use git2::build::TreeUpdateBuilder;
use git2::{FileMode as GitMode, Odb, Oid, Repository};

use super::FileState;
use crate::repo::{FileMode, Snapshot};

/// Above the backends for files on disk, so that every write stays in memory.
const MEMORY_PRIORITY: i32 = 1_000;

/// Opens one over the snapshot's objects.
pub(super) fn over(base: &Snapshot) -> Result<Repository, git2::Error> {
    let objects = base.repository().commondir().join("objects");
    let objects = objects.to_str().ok_or_else(|| git2::Error::from_str("the object folder's path is not UTF-8"))?;
    let odb = Odb::new()?;
    odb.add_disk_alternate(objects)?;
    odb.add_new_mempack_backend(MEMORY_PRIORITY)?;
    Repository::from_odb(odb)
}

/// Writes the base tree with these files changed; `None` removes one.
pub(super) fn write_tree(
    scratch: &Repository,
    base_tree: Oid,
    states: &BTreeMap<&RepoPath, Option<&FileState>>,
) -> Result<Oid, git2::Error> {
    let mut update = TreeUpdateBuilder::new();
    for (path, state) in states {
        match state {
            Some(state) => update.upsert(path.as_str(), scratch.blob(&state.bytes)?, git_mode(state.mode)),
            None => update.remove(path.as_str()),
        };
    }
    update.create_updated(scratch, &scratch.find_tree(base_tree)?)
}

/// Reads a blob of any size: it was within bounds when an edit read or wrote it.
pub(super) fn read(scratch: &Repository, oid: Oid) -> Result<Vec<u8>, git2::Error> {
    Ok(scratch.find_blob(oid)?.content().to_vec())
}

fn git_mode(mode: FileMode) -> GitMode {
    match mode {
        FileMode::Regular => GitMode::Blob,
        FileMode::Executable => GitMode::BlobExecutable,
        FileMode::Symlink => GitMode::Link,
        FileMode::Submodule => GitMode::Commit,
    }
}

/// A path as libgit2 gives it, if it is one of ours.
pub(super) fn repo_path(path: Option<&Path>) -> Option<RepoPath> {
    RepoPath::parse(path?.to_str()?).ok()
}
