//! Lists the files of a commit, within bounds.

use std::collections::{BTreeMap, HashSet};

use domain::{MAX_PATH_BYTES, RepoPath};
use git2::{ObjectType, Odb, Oid, Repository, Tree};
use tokio_util::sync::CancellationToken;

use super::{Entry, FileMode, SnapshotLimits};

/// Largest tree object that is read, in bytes: some 200,000 entries of one folder.
const MAX_TREE_BYTES: usize = 16 << 20;

/// Bound on the bytes of all paths together, in memory.
const MAX_LISTED_PATH_BYTES: usize = 64 << 20;

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

/// An iterative walk: a hostile tree must not end on our stack.
pub(crate) struct Walk<'a> {
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
    pub(crate) fn run(
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
