//! A Git server, and a fetcher that may talk to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::{CommitId, GitRef, RepoPath, RepoUrl};
use egress::{Egress, EgressPolicy};
use pipeline::repo::{FetchError, FetchLimits, Fetcher, HostTokens, Snapshot};
use standin::git::GitServer;
use standin::repo::{BuiltRepo, RepoBuilder};
use tempfile::TempDir;

/// How long a state may take to come about.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Lab {
    pub(crate) server: GitServer,
    pub(crate) fetcher: Fetcher,
    /// Where the fetcher stores what it fetches.
    pub(crate) folder: TempDir,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::with(FetchLimits::default(), |_| HostTokens::new()).await
    }

    pub(crate) async fn with_limits(limits: FetchLimits) -> Self {
        Self::with(limits, |_| HostTokens::new()).await
    }

    pub(crate) async fn with_token(token: &str) -> Self {
        Self::with(FetchLimits::default(), |origin| {
            let mut tokens = HostTokens::new();
            tokens.insert(origin, token.into()).expect("an origin");
            tokens
        })
        .await
    }

    async fn with(limits: FetchLimits, tokens: impl FnOnce(&str) -> HostTokens) -> Self {
        let server = GitServer::start().await.expect("a port");
        let folder = tempfile::tempdir().expect("a folder");
        let tokens = tokens(&server.origin());
        let fetcher = Fetcher::new(open_egress(), limits, tokens).in_folder(folder.path());
        Self { server, fetcher, folder }
    }

    pub(crate) fn add(&self, name: &str, repository: &RepoBuilder) -> BuiltRepo {
        self.server.add(name, repository).expect("a repository")
    }

    pub(crate) async fn fetch(&self, name: &str, git_ref: Option<&str>) -> Result<Snapshot, FetchError> {
        self.fetcher.fetch(&url(&self.server.url(name)), git_ref.map(reference).as_ref(), None).await
    }

    pub(crate) async fn fetch_at(&self, name: &str, commit: &str) -> Result<Snapshot, FetchError> {
        self.fetcher.fetch(&url(&self.server.url(name)), None, Some(&commit_id(commit))).await
    }

    /// Fetches, and expects that it fails.
    pub(crate) async fn failure(&self, name: &str, git_ref: Option<&str>) -> FetchError {
        match self.fetch(name, git_ref).await {
            Ok(snapshot) => panic!("fetched {}", snapshot.commit()),
            Err(error) => error,
        }
    }

    /// The files below the fetcher's folder.
    pub(crate) fn stored_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect_files(self.folder.path(), &mut files);
        files.sort();
        files
    }

    /// Waits until nothing is left of what was fetched.
    pub(crate) async fn until_nothing_is_stored(&self) {
        let is_empty = || fs::read_dir(self.folder.path()).is_ok_and(|mut entries| entries.next().is_none());
        tokio::time::timeout(PATIENCE, async {
            while !is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await
        .expect("the fetcher removes what it stored");
    }
}

/// Loopback over plain http, as for local gateways.
pub(crate) fn open_egress() -> Egress {
    let allow_networks = vec!["127.0.0.0/8".parse().expect("a network")];
    Egress::new(EgressPolicy { allow_networks, allow_plain_http: true, ..EgressPolicy::default() }).expect("set up")
}

/// Two commits on `main`, one more on `feature/x`; `v1` and the annotated `v1.0` are at the first.
pub(crate) fn library() -> RepoBuilder {
    RepoBuilder::new()
        .file("README.md", "# Library\n")
        .file("src/lib.rs", "pub fn one() -> u32 {\n    1\n}\n")
        .executable("run.sh", "#!/bin/sh\n")
        .symlink("docs", "README.md")
        .submodule("vendor/dep", "1234567890123456789012345678901234567890")
        .commit("first")
        .tag("v1")
        .annotated_tag("v1.0", "the first")
        .file("src/two.rs", "pub fn two() {}\n")
        .commit("second")
        .branch("feature/x")
        .remove("src/two.rs")
        .commit("third")
}

pub(crate) fn url(text: &str) -> RepoUrl {
    RepoUrl::parse(text).expect(text)
}

pub(crate) fn reference(text: &str) -> GitRef {
    GitRef::parse(text).expect(text)
}

pub(crate) fn commit_id(text: &str) -> CommitId {
    CommitId::parse(text).expect(text)
}

pub(crate) fn paths(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.entries().keys().map(RepoPath::as_str).collect()
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() { collect_files(&entry, files) } else { files.push(entry) }
    }
}
