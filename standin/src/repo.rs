//! Builds bare repositories whose commit ids are the same on every machine.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{Index, IndexEntry, IndexTime, Oid, Repository, RepositoryInitOptions, Signature, Time};

/// 2024-01-01T00:00:00Z; each commit is a minute later than the one before.
const FIRST_COMMIT_SECONDS: i64 = 1_704_067_200;
const SECONDS_BETWEEN_COMMITS: i64 = 60;

/// The history of a repository, step by step. Nothing is written before [`RepoBuilder::build`].
///
/// Files stay from commit to commit until they are replaced or removed. Commits go to `main` until
/// [`RepoBuilder::branch`] names another branch.
#[derive(Debug, Clone, Default)]
pub struct RepoBuilder {
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Put { path: String, mode: u32, content: Vec<u8> },
    Link { path: String, commit: String },
    Remove { path: String },
    Commit { message: String },
    Branch { name: String },
    Tag { name: String, message: Option<String> },
}

/// What was built: ids in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltRepo {
    /// The commits, in the order of their steps.
    pub commits: Vec<String>,
}

impl BuiltRepo {
    /// The last commit.
    ///
    /// # Panics
    /// When no commit was asked for.
    pub fn last(&self) -> &str {
        self.commits.last().expect("the repository has a commit")
    }
}

impl RepoBuilder {
    /// An empty repository.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a file.
    #[must_use]
    pub fn file(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.put(path, 0o100_644, content)
    }

    /// Puts an executable file.
    #[must_use]
    pub fn executable(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.put(path, 0o100_755, content)
    }

    /// Puts a symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.put(path, 0o120_000, target)
    }

    /// Puts a submodule: the id of a commit that this repository need not have.
    #[must_use]
    pub fn submodule(self, path: &str, commit: &str) -> Self {
        self.step(Step::Link { path: path.to_owned(), commit: commit.to_owned() })
    }

    /// Removes a file.
    #[must_use]
    pub fn remove(self, path: &str) -> Self {
        self.step(Step::Remove { path: path.to_owned() })
    }

    /// Commits the files as they are now.
    #[must_use]
    pub fn commit(self, message: &str) -> Self {
        self.step(Step::Commit { message: message.to_owned() })
    }

    /// Makes a branch at the last commit; commits after this go there.
    #[must_use]
    pub fn branch(self, name: &str) -> Self {
        self.step(Step::Branch { name: name.to_owned() })
    }

    /// Tags the last commit by a plain reference.
    #[must_use]
    pub fn tag(self, name: &str) -> Self {
        self.step(Step::Tag { name: name.to_owned(), message: None })
    }

    /// Tags the last commit by a tag object.
    #[must_use]
    pub fn annotated_tag(self, name: &str, message: &str) -> Self {
        self.step(Step::Tag { name: name.to_owned(), message: Some(message.to_owned()) })
    }

    /// Writes the repository into `folder`, bare, with `main` as its default branch.
    ///
    /// # Errors
    /// When libgit2 refuses a path, a name or an id, or the disk fails.
    pub fn build(&self, folder: &Path) -> Result<BuiltRepo, git2::Error> {
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false).initial_head("main");
        let repository = Repository::init_opts(folder, &options)?;
        let mut site = Site {
            repository: &repository,
            files: BTreeMap::new(),
            branch: "refs/heads/main".to_owned(),
            commits: Vec::new(),
        };
        for step in &self.steps {
            site.perform(step)?;
        }
        Ok(BuiltRepo { commits: site.commits.iter().map(ToString::to_string).collect() })
    }

    fn put(self, path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Put { path: path.to_owned(), mode, content: content.into() })
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

struct Site<'a> {
    repository: &'a Repository,
    files: BTreeMap<String, (u32, Oid)>,
    branch: String,
    commits: Vec<Oid>,
}

impl Site<'_> {
    fn perform(&mut self, step: &Step) -> Result<(), git2::Error> {
        match step {
            Step::Put { path, mode, content } => {
                self.files.insert(path.clone(), (*mode, self.repository.blob(content)?));
            }
            Step::Link { path, commit } => {
                self.files.insert(path.clone(), (0o160_000, Oid::from_str(commit)?));
            }
            Step::Remove { path } => {
                self.files.remove(path);
            }
            Step::Commit { message } => self.commit(message)?,
            Step::Branch { name } => {
                self.branch = format!("refs/heads/{name}");
                self.repository.reference(&self.branch, self.last()?, false, "branch")?;
            }
            Step::Tag { name, message: None } => {
                self.repository.reference(&format!("refs/tags/{name}"), self.last()?, false, "tag")?;
            }
            Step::Tag { name, message: Some(message) } => {
                let target = self.repository.find_object(self.last()?, None)?;
                self.repository.tag(name, &target, &self.signature()?, message, false)?;
            }
        }
        Ok(())
    }

    fn commit(&mut self, message: &str) -> Result<(), git2::Error> {
        let tree = self.repository.find_tree(self.write_tree()?)?;
        let parent = self.last().ok().map(|id| self.repository.find_commit(id)).transpose()?;
        let parents: Vec<_> = parent.iter().collect();
        let signature = self.signature()?;
        let id = self.repository.commit(None, &signature, &signature, message, &tree, &parents)?;
        self.repository.reference(&self.branch, id, true, "commit")?;
        self.commits.push(id);
        Ok(())
    }

    fn write_tree(&self) -> Result<Oid, git2::Error> {
        let mut index = Index::new()?;
        for (path, (mode, id)) in &self.files {
            index.add(&entry(path, *mode, *id))?;
        }
        index.write_tree_to(self.repository)
    }

    fn last(&self) -> Result<Oid, git2::Error> {
        self.commits.last().copied().ok_or_else(|| git2::Error::from_str("the repository has no commit yet"))
    }

    fn signature(&self) -> Result<Signature<'static>, git2::Error> {
        let minutes = i64::try_from(self.commits.len()).unwrap_or(i64::MAX);
        let seconds = FIRST_COMMIT_SECONDS.saturating_add(minutes.saturating_mul(SECONDS_BETWEEN_COMMITS));
        Signature::new("Ada", "ada@example.org", &Time::new(seconds, 0))
    }
}

fn entry(path: &str, mode: u32, id: Oid) -> IndexEntry {
    IndexEntry {
        ctime: IndexTime::new(0, 0),
        mtime: IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_same_ids_every_time() {
        let builder = RepoBuilder::new()
            .file("a/b.txt", "hello\n")
            .executable("run.sh", "#!/bin/sh\n")
            .symlink("link", "a/b.txt")
            .commit("first")
            .annotated_tag("v1", "one")
            .branch("next")
            .remove("run.sh")
            .commit("second");
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let built = folders.each_ref().map(|folder| builder.build(folder.path()).unwrap());
        assert_eq!(built[0], built[1]);
        assert_eq!(built[0].commits[0], "4890a9a52075d254d43de2f8d7142cfa8bcbcfc8");
        let repository = Repository::open_bare(folders[0].path()).unwrap();
        let id = |name: &str| repository.refname_to_id(name).unwrap().to_string();
        assert_eq!([id("refs/heads/main"), id("refs/heads/next")].to_vec(), built[0].commits);
        assert_eq!(repository.head().unwrap().name().unwrap(), "refs/heads/main");
    }
}
