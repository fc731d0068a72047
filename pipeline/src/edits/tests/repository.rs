//! Real repositories for the tests, and the real `git` as their judge.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode as GitMode, Index, IndexEntry, Oid, Repository, RepositoryInitOptions, Signature};
use tempfile::TempDir;

use crate::edits::Patch;
use crate::repo::{FileMode, Snapshot, SnapshotLimits};

/// What a commit has at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    File(Vec<u8>),
    Executable(Vec<u8>),
    Symlink(String),
    Submodule(Oid),
    /// A blob the repository knows the id of and does not have.
    MissingBlob,
}

/// A bare repository in a temporary folder.
pub(super) struct TestRepository {
    folder: TempDir,
}

impl TestRepository {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Repository::init_opts(folder.path(), RepositoryInitOptions::new().bare(true).external_template(false))
            .expect("a repository");
        Self { folder }
    }

    /// A snapshot of a new commit with exactly these files.
    pub(super) fn commit(&self, files: &BTreeMap<String, Content>) -> Arc<Snapshot> {
        let repository = Repository::open(self.path()).expect("a repository");
        let mut missing = Vec::new();
        let mut update = TreeUpdateBuilder::new();
        for (path, content) in files {
            let (oid, mode) = match content {
                Content::File(bytes) => (repository.blob(bytes).expect("a blob"), GitMode::Blob),
                Content::Executable(bytes) => (repository.blob(bytes).expect("a blob"), GitMode::BlobExecutable),
                Content::Symlink(target) => (repository.blob(target.as_bytes()).expect("a blob"), GitMode::Link),
                Content::Submodule(commit) => (*commit, GitMode::Commit),
                Content::MissingBlob => {
                    let oid = repository.blob(b"not fetched").expect("a blob");
                    missing.push(oid);
                    (oid, GitMode::Blob)
                }
            };
            update.upsert(path.as_str(), oid, mode);
        }
        let empty = repository.treebuilder(None).and_then(|builder| builder.write()).expect("the empty tree");
        let empty = repository.find_tree(empty).expect("the empty tree");
        let tree = update.create_updated(&repository, &empty).expect("a tree");
        let tree = repository.find_tree(tree).expect("a tree");
        let author = Signature::new("Test", "test@example.org", &git2::Time::new(0, 0)).expect("valid");
        let commit = repository.commit(None, &author, &author, "base", &tree, &[]).expect("a commit");
        for oid in missing {
            let hex = oid.to_string();
            std::fs::remove_file(self.path().join("objects").join(&hex[..2]).join(&hex[2..])).expect("a loose object");
        }
        let fresh = Repository::open(self.path()).expect("a repository");
        Arc::new(Snapshot::open(fresh, commit, SnapshotLimits::default()).expect("within limits"))
    }

    /// Lets the real `git` apply the patch to the base tree, and take it back. Both trees must come out exactly.
    pub(super) fn judge(&self, base: &Snapshot, patch: &Patch) -> Result<(), String> {
        self.read_tree(base.tree());
        if !patch.diff.is_empty() {
            self.git(&["apply", "--cached", "--whitespace=nowarn", "-"], &patch.diff)?;
        }
        let result = self.git(&["write-tree", "--missing-ok"], b"")?;
        if result != patch.receipt.result_tree {
            return Err(format!("git apply gives {result} and not {}", patch.receipt.result_tree));
        }
        if patch.diff.is_empty() {
            return Ok(());
        }
        self.git(&["apply", "--cached", "--whitespace=nowarn", "--reverse", "-"], &patch.diff)?;
        let undone = self.index_entries();
        self.read_tree(base.tree());
        let expected = self.index_entries();
        if undone == expected { Ok(()) } else { Err(format!("git apply --reverse gives {undone:?}, not {expected:?}")) }
    }

    /// Path, id and type of each file in the judge's index. The type leaves out what git 2.47 forgets when it brings a
    /// deleted file back, from its own patches as well: the executable bit, and that it was a link.
    fn index_entries(&self) -> Vec<(String, Oid, bool)> {
        let index = Index::open(&self.index_path()).expect("an index");
        let show = |entry: IndexEntry| {
            (String::from_utf8_lossy(&entry.path).into_owned(), entry.id, entry.mode == FileMode::Submodule.bits())
        };
        index.iter().map(show).collect()
    }

    /// What the real `git` prints between two trees.
    pub(super) fn binary_diff(&self, old: Oid, new: Oid) -> Vec<u8> {
        let trees = [old.to_string(), new.to_string()];
        let printed = self.git(&["diff-tree", "-p", "--binary", "--full-index", &trees[0], &trees[1]], b"");
        format!("{}\n\n", printed.expect("a diff")).into_bytes()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn index_path(&self) -> PathBuf {
        self.path().join("judge.index")
    }

    /// Fills the judge's index, without a process.
    fn read_tree(&self, tree: Oid) {
        let repository = Repository::open(self.path()).expect("a repository");
        let tree = repository.find_tree(tree).expect("a tree");
        let mut index = Index::open(&self.index_path()).expect("an index");
        index.read_tree(&tree).expect("readable");
        index.write().expect("writable");
    }

    fn git(&self, arguments: &[&str], input: &[u8]) -> Result<String, String> {
        let mut child = Command::new("git")
            .args(arguments)
            .current_dir(self.path())
            .env("GIT_DIR", self.path())
            .env("GIT_INDEX_FILE", self.index_path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("git is installed");
        // A git that refuses the patch may not read all of it; what it says comes below.
        let _ = child.stdin.take().expect("piped").write_all(input);
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
