//! Which commit a name means: exact names only, never an expression.

use domain::{CommitId, GitRef};

use super::FetchError;

/// What the caller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A commit by its full id.
    Commit(CommitId),
    /// What a name means at the host.
    Ref(RefSearch),
}

impl Wanted {
    /// A pinned commit wins over a name; without either, it is what `HEAD` points to.
    pub(crate) fn new(git_ref: Option<&GitRef>, at: Option<&CommitId>) -> Self {
        match at.cloned().or_else(|| git_ref.and_then(GitRef::as_commit_id)) {
            Some(commit) => Self::Commit(commit),
            None => Self::Ref(RefSearch::new(git_ref.map_or("HEAD", GitRef::as_str))),
        }
    }
}

/// Looks at references as they come by, and keeps only those that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefSearch {
    name: String,
    /// Full names, best first, and what was found under each.
    candidates: Vec<(String, Option<CommitId>)>,
    has_seen_any: bool,
}

impl RefSearch {
    /// A short name is a branch before it is a tag, as `git clone --branch` has it.
    pub(crate) fn new(name: &str) -> Self {
        let full_names = if name == "HEAD" || name.starts_with("refs/") {
            vec![name.to_owned()]
        } else {
            vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")]
        };
        let candidates = full_names.into_iter().map(|full_name| (full_name, None)).collect();
        Self { name: name.to_owned(), candidates, has_seen_any: false }
    }

    /// The full names that would do, best first.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &str> {
        self.candidates.iter().map(|(full_name, _)| full_name.as_str())
    }

    /// Takes note of a reference. One that comes twice counts as it came last: the peeled form follows the tag.
    pub(crate) fn see(&mut self, full_name: &str, id: &str) -> Result<(), FetchError> {
        self.has_seen_any = true;
        let Some((_, found)) = self.candidates.iter_mut().find(|(candidate, _)| candidate == full_name) else {
            return Ok(());
        };
        let id = CommitId::parse(id).map_err(|_| FetchError::Unsupported("the host names an object by a wrong id"))?;
        *found = Some(id);
        Ok(())
    }

    /// The best of what was found.
    pub(crate) fn best(&self) -> Option<&CommitId> {
        self.candidates.iter().find_map(|(_, found)| found.as_ref())
    }

    /// The best of what was found, or why there is none.
    pub(crate) fn conclude(&self) -> Result<CommitId, FetchError> {
        let nothing = || if self.has_seen_any { FetchError::RefNotFound(self.name.clone()) } else { FetchError::Empty };
        self.best().cloned().ok_or_else(nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> String {
        digit.to_string().repeat(40)
    }

    fn search(text: &str, refs: &[(&str, String)]) -> Result<String, FetchError> {
        let mut search = RefSearch::new(text);
        for (name, id) in refs {
            search.see(name, id)?;
        }
        search.conclude().map(|commit| commit.to_string())
    }

    #[test]
    fn a_branch_comes_before_a_tag() {
        let refs = [("refs/tags/x", id('1')), ("refs/heads/x", id('2'))];
        assert_eq!(search("x", &refs).unwrap(), id('2'));
        assert_eq!(search("refs/tags/x", &refs).unwrap(), id('1'));
    }

    #[test]
    fn a_prefix_is_not_a_name() {
        let refs = [("refs/heads/main-2", id('1')), ("refs/heads/a/main", id('2'))];
        assert!(matches!(search("main", &refs), Err(FetchError::RefNotFound(name)) if name == "main"));
    }

    #[test]
    fn a_repository_without_references_is_empty() {
        assert!(matches!(search("HEAD", &[]), Err(FetchError::Empty)));
    }

    #[test]
    fn a_peeled_tag_replaces_the_tag() {
        assert_eq!(search("v1", &[("refs/tags/v1", id('1')), ("refs/tags/v1", id('2'))]).unwrap(), id('2'));
    }

    #[test]
    fn a_pinned_commit_wins() {
        let pinned = CommitId::parse(&id('a')).unwrap();
        let main = GitRef::parse("main").unwrap();
        assert_eq!(Wanted::new(Some(&main), Some(&pinned)), Wanted::Commit(pinned.clone()));
        assert_eq!(Wanted::new(Some(&GitRef::parse(&id('A')).unwrap()), None), Wanted::Commit(pinned));
        assert_eq!(Wanted::new(None, None), Wanted::Ref(RefSearch::new("HEAD")));
    }
}
