//! A commit's files: the list of them, and their contents from the object database.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{CommitId, PathFilter, RepoPath};
use git2::{ObjectType, Oid, Repository};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::WalkError;
use super::walk::Walk;

/// Bounds on what a snapshot may hold. A repository beyond them is refused, whatever it is.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotLimits {
    /// Entries of all trees together.
    pub max_entries: usize,
    /// Levels of folders.
    pub max_depth: usize,
    /// Largest blob that is ever read, in bytes.
    pub max_blob_bytes: u64,
}

impl Default for SnapshotLimits {
    fn default() -> Self {
        Self { max_entries: 200_000, max_depth: 64, max_blob_bytes: 8 << 20 }
    }
}

/// What kind of file an entry is, with Git's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// 100644.
    Regular,
    /// 100755.
    Executable,
    /// 120000: the content is the target's path.
    Symlink,
    /// 160000: the id is a commit of another repository.
    Submodule,
}

impl FileMode {
    /// Reads Git's mode bits; historic group-writable files count as regular ones.
    pub fn from_bits(bits: i32) -> Option<Self> {
        match bits {
            0o100_644 | 0o100_664 => Some(Self::Regular),
            0o100_755 => Some(Self::Executable),
            0o120_000 => Some(Self::Symlink),
            0o160_000 => Some(Self::Submodule),
            _ => None,
        }
    }

    /// Git's mode bits.
    pub fn bits(self) -> u32 {
        match self {
            Self::Regular => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Symlink => 0o120_000,
            Self::Submodule => 0o160_000,
        }
    }

    /// Whether the content is a file's content.
    pub fn is_file(self) -> bool {
        matches!(self, Self::Regular | Self::Executable)
    }
}

/// One file of the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub mode: FileMode,
    /// The blob (the commit, of a submodule).
    pub oid: Oid,
    /// Size in bytes from the object's header; absent when the object is not here.
    pub size: Option<u64>,
}

/// Why a blob cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The object is not here, or not a blob.
    #[error("object {0} is missing")]
    Missing(Oid),
    /// Larger than [`SnapshotLimits::max_blob_bytes`].
    #[error("object {oid} has {bytes} bytes, more than the limit")]
    TooLarge {
        /// The object.
        oid: Oid,
        /// Its size as its header states it.
        bytes: u64,
    },
    /// Git cannot read the object.
    #[error("object {oid} cannot be read")]
    Git {
        /// The object.
        oid: Oid,
        /// What Git said.
        #[source]
        source: git2::Error,
    },
}

/// The repository at one commit. Reading blocks: use it from blocking code.
///
/// When it was fetched, the folder of its object database goes away with it.
pub struct Snapshot {
    // Closed before the folder is removed: fields drop in this order.
    repository: Mutex<Repository>,
    _folder: Option<TempDir>,
    limits: SnapshotLimits,
    commit: CommitId,
    tree: Oid,
    entries: BTreeMap<RepoPath, Entry>,
    /// Files that the job must not see.
    hidden: BTreeMap<RepoPath, Entry>,
    filter: PathFilter,
    unusable_entries: usize,
}

impl Snapshot {
    /// Lists the files of `commit`, which must be in `repository`.
    ///
    /// Entries whose name is not a [`RepoPath`] or whose mode Git does not have are counted and left out; they stay in
    /// the tree untouched.
    ///
    /// # Errors
    /// [`WalkError`] when the commit is beyond the limits or cannot be read.
    pub fn open(repository: Repository, commit: Oid, limits: SnapshotLimits) -> Result<Self, WalkError> {
        Self::list(repository, None, commit, limits, &CancellationToken::new())
    }

    /// As [`Snapshot::open`], for a repository in a temporary folder. The listing ends early when `stop` is cancelled.
    pub(crate) fn open_in(
        folder: TempDir,
        repository: Repository,
        commit: Oid,
        limits: SnapshotLimits,
        stop: &CancellationToken,
    ) -> Result<Self, WalkError> {
        Self::list(repository, Some(folder), commit, limits, stop)
    }

    fn list(
        repository: Repository,
        folder: Option<TempDir>,
        commit: Oid,
        limits: SnapshotLimits,
        stop: &CancellationToken,
    ) -> Result<Self, WalkError> {
        let tree = repository.find_commit(commit)?.tree_id();
        let (entries, unusable_entries) = Walk::run(&repository, tree, limits, stop)?;
        Ok(Self {
            repository: Mutex::new(repository),
            _folder: folder,
            limits,
            commit: CommitId::parse(&commit.to_string()).expect("git prints 40 hexadecimal digits"),
            tree,
            entries,
            hidden: BTreeMap::new(),
            filter: PathFilter::default(),
            unusable_entries,
        })
    }

    /// The same commit for a job that may only see and change what the filter lets through. The other files stay in the
    /// tree untouched.
    pub(crate) fn limited_to(self, filter: PathFilter) -> Self {
        let (entries, hidden) = self.entries.into_iter().partition(|(path, _)| filter.allows(path));
        Self { entries, hidden, filter, ..self }
    }

    /// The commit.
    pub fn commit(&self) -> &CommitId {
        &self.commit
    }

    /// The commit's tree.
    pub fn tree(&self) -> Oid {
        self.tree
    }

    /// The files, in the order of their paths.
    pub fn entries(&self) -> &BTreeMap<RepoPath, Entry> {
        &self.entries
    }

    /// The files that the job must not see, in the order of their paths.
    pub(crate) fn hidden(&self) -> &BTreeMap<RepoPath, Entry> {
        &self.hidden
    }

    /// Whether the job may see and change what is at the path, or make a file there.
    pub(crate) fn allows(&self, path: &RepoPath) -> bool {
        self.filter.allows(path)
    }

    /// How many entries have a name or a mode that nothing of ours may touch.
    pub fn unusable_entries(&self) -> usize {
        self.unusable_entries
    }

    /// The content of a blob; its size is checked by the header before anything is allocated.
    ///
    /// # Errors
    /// [`ReadError`] when it is missing, too large or damaged.
    pub fn read(&self, oid: Oid) -> Result<Vec<u8>, ReadError> {
        let repository = self.repository();
        let odb = repository.odb().map_err(|source| ReadError::Git { oid, source })?;
        let (bytes, kind) = odb.read_header(oid).map_err(|_| ReadError::Missing(oid))?;
        if kind != ObjectType::Blob {
            return Err(ReadError::Missing(oid));
        }
        if bytes as u64 > self.limits.max_blob_bytes {
            return Err(ReadError::TooLarge { oid, bytes: bytes as u64 });
        }
        let object = odb.read(oid).map_err(|source| ReadError::Git { oid, source })?;
        Ok(object.data().to_vec())
    }

    /// The object database, for the one who writes blobs and trees.
    pub(crate) fn repository(&self) -> MutexGuard<'_, Repository> {
        self.repository.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_may_share_a_snapshot() {
        fn shared<T: Send + Sync>() {}
        shared::<Snapshot>();
    }
}
