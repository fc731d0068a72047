//! What is where by now: the commit's files with the touched ones laid over them.

use std::collections::BTreeMap;

use domain::RepoPath;

use super::error::{Fate, Refusal};
use super::lineage::Lineage;
use super::locate::{self, Leeway};
use super::{EditedTree, FileState, Touched, guard};
use crate::repo::FileMode;
use crate::text::FileText;

impl EditedTree {
    /// Notes what a path holds from now on.
    pub(super) fn put(&mut self, path: &RepoPath, state: FileState, lineage: Option<Lineage>) -> Result<(), Refusal> {
        let touched = self.touch(path)?;
        touched.after = Some(state);
        touched.lineage = lineage;
        touched.moved_to = None;
        Ok(())
    }

    /// The record of a path, made when an edit first touches it.
    pub(super) fn touch(&mut self, path: &RepoPath) -> Result<&mut Touched, Refusal> {
        if !self.touched.contains_key(path) {
            let before = self.in_base(path).transpose()?;
            let touched = Touched { after: before.clone(), before, ..Touched::default() };
            self.touched.insert(path.clone(), touched);
        }
        let touched = self.touched.get_mut(path).ok_or(Refusal::Unreadable)?;
        touched.edits += 1;
        Ok(touched)
    }

    /// The existing file a path means.
    pub(super) fn locate(&self, requested: &RepoPath, leeway: Leeway) -> Result<RepoPath, Refusal> {
        if self.exists(requested) {
            return Ok(requested.clone());
        }
        if let Some(touched) = self.touched.get(requested) {
            let fate = touched.moved_to.clone().map_or(Fate::Deleted, Fate::MovedTo);
            return Err(Refusal::NoSuchFile { nearest: Vec::new(), fate: Some(fate) });
        }
        if self.base.hidden().contains_key(requested) {
            return Err(Refusal::Outside);
        }
        locate::meant(self.paths(), requested, leeway)
            .ok_or_else(|| Refusal::NoSuchFile { nearest: locate::nearest(self.paths(), requested), fate: None })
    }

    /// Whether a new file may come to be at this path. A path that was a folder of the commit stays one, and the other
    /// way round, so that the diff never has to turn the one into the other.
    pub(super) fn check_new_path(&self, path: &RepoPath) -> Result<(), Refusal> {
        if !self.base.allows(path) {
            return Err(Refusal::Outside);
        }
        locate::check_new_path(self.paths().chain(self.base.hidden().keys()), path)?;
        for (end, _) in path.as_str().match_indices('/').chain([(path.as_str().len(), "")]) {
            let front = &path.as_str()[..end];
            let is_folder = end < path.as_str().len();
            let entry = RepoPath::parse(front).ok().and_then(|front| self.base.entries().get(&front));
            if is_folder && entry.is_some() {
                return Err(Refusal::FolderClash { existing: front.to_owned() });
            }
            if !is_folder && entry.is_none() && self.base.has_anything_at(front) {
                let was_folder = self.base.entries().keys().any(|path| is_below(path, front));
                let existing = front.to_owned();
                return Err(if was_folder { Refusal::FolderClash { existing } } else { Refusal::Untouchable });
            }
        }
        Ok(())
    }

    pub(super) fn has_executable_sibling(&self, path: &RepoPath) -> bool {
        self.paths().filter(|sibling| sibling.parent() == path.parent()).any(|sibling| {
            let mode = match self.touched.get(sibling) {
                Some(touched) => touched.after.as_ref().map(|state| state.mode),
                None => self.base.entries().get(sibling).map(|entry| entry.mode),
            };
            mode == Some(FileMode::Executable)
        })
    }

    pub(super) fn exists(&self, path: &RepoPath) -> bool {
        match self.touched.get(path) {
            Some(touched) => touched.after.is_some(),
            None => self.base.entries().contains_key(path),
        }
    }

    /// The paths that exist by now; those of the commit first.
    pub(super) fn paths(&self) -> impl Iterator<Item = &RepoPath> + Clone {
        let added = self.touched.keys().filter(|path| !self.base.entries().contains_key(path));
        self.base.entries().keys().chain(added).filter(|path| self.exists(path))
    }

    pub(super) fn current(&self, path: &RepoPath) -> Result<FileState, Refusal> {
        let none = || Refusal::NoSuchFile { nearest: Vec::new(), fate: None };
        match self.touched.get(path) {
            Some(touched) => touched.after.clone().ok_or_else(none),
            None => self.in_base(path).ok_or_else(none)?,
        }
    }

    pub(super) fn in_base(&self, path: &RepoPath) -> Option<Result<FileState, Refusal>> {
        let entry = self.base.entries().get(path)?;
        let bytes = guard::read(&self.base, entry);
        Some(bytes.map(|bytes| FileState { bytes: bytes.into(), mode: entry.mode }))
    }

    pub(super) fn lineage(&self, path: &RepoPath) -> Option<&Lineage> {
        self.touched.get(path)?.lineage.as_ref()
    }

    /// A touched file as it was in the commit, wherever it was then; empty for a new file.
    pub(super) fn shown_in_base(&self, path: &RepoPath) -> Option<String> {
        let touched = self.touched.get(path)?;
        let origin = touched.moved_from.as_ref().map_or(Some(touched), |from| self.touched.get(from))?;
        let text = origin.before.as_ref().and_then(|state| FileText::decode(&state.bytes).ok());
        Some(text.map_or_else(String::new, |text| text.shown().to_owned()))
    }

    /// New path to old path, for every file that was moved and whose old place is empty now.
    pub(super) fn moves(&self) -> BTreeMap<&RepoPath, &RepoPath> {
        let moved = self.touched.iter().filter(|(_, touched)| touched.after.is_some());
        moved
            .filter_map(|(path, touched)| touched.moved_from.as_ref().map(|from| (path, from)))
            .filter(|(_, from)| !self.exists(from))
            .collect()
    }

    /// What each touched path holds now; `None` for a file that is gone.
    pub(super) fn states(&self) -> BTreeMap<&RepoPath, Option<&FileState>> {
        let changed = self.touched.iter().filter(|(_, touched)| touched.before != touched.after);
        changed.map(|(path, touched)| (path, touched.after.as_ref())).collect()
    }
}

fn is_below(path: &RepoPath, folder: &str) -> bool {
    path.as_str().strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}
