//! A commit's files, listed by our own bounded walk and read from the object database.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{CommitId, MAX_PATH_BYTES, RepoPath};
use git2::{ObjectType, Odb, Oid, Repository, Tree};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Largest tree object that is read, in bytes: some 200,000 entries of one folder.
const MAX_TREE_BYTES: usize = 16 << 20;

/// Bound on the bytes of all paths together, in memory.
const MAX_LISTED_PATH_BYTES: usize = 64 << 20;

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

/// Why the files of a commit cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// More entries than [`SnapshotLimits::max_entries`].
    #[error("the repository has more than {0} files and folders")]
    TooManyEntries(usize),
    /// More levels than [`SnapshotLimits::max_depth`].
    #[error("the repository has folders more than {0} levels deep")]
    TooDeep(usize),
    /// Git cannot read its own objects.
    #[error("the repository's objects cannot be read")]
    Git(#[from] git2::Error),
    /// Nobody waits for the list any more.
    #[error("the listing was given up")]
    Stopped,
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
            unusable_entries,
        })
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

/// An iterative walk: a hostile tree must not end on our stack.
struct Walk<'a> {
    repository: &'a Repository,
    odb: Odb<'a>,
    limits: SnapshotLimits,
    entries: BTreeMap<RepoPath, Entry>,
    unusable: usize,
    seen: usize,
    path_bytes: usize,
}

/// A folder that is still to be listed.
struct Folder {
    /// Empty, or a path with `/` at its end.
    prefix: String,
    oid: Oid,
    depth: usize,
}

impl<'a> Walk<'a> {
    /// Lists what can be used, and counts what cannot.
    fn run(
        repository: &'a Repository,
        root: Oid,
        limits: SnapshotLimits,
        stop: &CancellationToken,
    ) -> Result<(BTreeMap<RepoPath, Entry>, usize), WalkError> {
        let odb = repository.odb()?;
        let mut walk = Self { repository, odb, limits, entries: BTreeMap::new(), unusable: 0, seen: 0, path_bytes: 0 };
        let mut folders = vec![Folder { prefix: String::new(), oid: root, depth: 1 }];
        while let Some(folder) = folders.pop() {
            if folder.depth > limits.max_depth {
                return Err(WalkError::TooDeep(limits.max_depth));
            }
            if stop.is_cancelled() {
                return Err(WalkError::Stopped);
            }
            walk.list(&folder, &mut folders)?;
        }
        Ok((walk.entries, walk.unusable))
    }

    fn list(&mut self, folder: &Folder, folders: &mut Vec<Folder>) -> Result<(), WalkError> {
        let tree = self.tree(folder.oid)?;
        let mut names = HashSet::with_capacity(tree.len());
        for entry in &tree {
            self.seen += 1;
            if self.seen > self.limits.max_entries || self.path_bytes > MAX_LISTED_PATH_BYTES {
                return Err(WalkError::TooManyEntries(self.limits.max_entries));
            }
            // Two entries of one name have no meaning that two programs agree on; the first one counts.
            let is_new = names.insert(entry.name_bytes().to_vec());
            let Some(path) = usable_path(&folder.prefix, entry.name_bytes()).filter(|_| is_new) else {
                self.unusable += 1;
                continue;
            };
            self.path_bytes += path.as_str().len();
            if entry.filemode_raw() == 0o040_000 {
                folders.push(Folder { prefix: format!("{path}/"), oid: entry.id(), depth: folder.depth + 1 });
            } else if let Some(mode) = FileMode::from_bits(entry.filemode_raw()) {
                let size = self.blob_size(mode, entry.id());
                self.entries.insert(path, Entry { mode, oid: entry.id(), size });
            } else {
                self.unusable += 1;
            }
        }
        Ok(())
    }

    fn tree(&self, oid: Oid) -> Result<Tree<'a>, WalkError> {
        let (bytes, _) = self.odb.read_header(oid)?;
        if bytes > MAX_TREE_BYTES {
            return Err(WalkError::TooManyEntries(self.limits.max_entries));
        }
        Ok(self.repository.find_tree(oid)?)
    }

    fn blob_size(&self, mode: FileMode, oid: Oid) -> Option<u64> {
        if mode == FileMode::Submodule {
            return None;
        }
        let (bytes, kind) = self.odb.read_header(oid).ok()?;
        (kind == ObjectType::Blob).then_some(bytes as u64)
    }
}

fn usable_path(prefix: &str, name: &[u8]) -> Option<RepoPath> {
    if prefix.len() + name.len() > MAX_PATH_BYTES || name.contains(&b'/') {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?;
    RepoPath::parse(&format!("{prefix}{name}")).ok()
}
