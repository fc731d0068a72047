//! The model's edits, applied in memory, and the diff they make.
//!
//! The model never writes a diff. It asks for [`Edit`]s, [`EditedTree::apply`] carries each out on the file as it is by
//! then or refuses it with a text the model can act on, and [`EditedTree::finish`] lets Git print the difference between
//! the commit's tree and the edited one. Nothing is written to disk.

mod applied;
mod base;
mod error;
mod fold;
mod guard;
mod indent;
mod invariant;
mod ladder;
mod lineage;
mod locate;
mod nearest;
mod patch;
mod replace;
mod scratch;
mod similarity;
mod slips;
mod state;
mod strict_apply;
mod transplant;
mod tree_delta;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Edit, RepoPath};

pub(crate) use applied::{Applied, Note};
pub(crate) use error::{EditError, Refusal};
pub(crate) use ladder::MatchRung;
use lineage::Lineage;
use locate::Leeway;
pub(crate) use patch::{DiffError, Patch};
use replace::{Replacement, Target};

use crate::repo::{FileMode, Snapshot};
use crate::text::{FileText, lines};

/// The base commit with the changes asked for so far.
#[derive(Clone)]
pub(crate) struct EditedTree {
    base: Arc<Snapshot>,
    /// Every path an edit was applied to, also when it is as before.
    touched: BTreeMap<RepoPath, Touched>,
}

/// A path an edit was applied to.
#[derive(Clone, Default)]
struct Touched {
    /// What the commit has there.
    before: Option<FileState>,
    /// What is there now.
    after: Option<FileState>,
    /// Where the file that is there now was in the commit, if it was moved here.
    moved_from: Option<RepoPath>,
    /// Where the file that was here went.
    moved_to: Option<RepoPath>,
    /// Which lines are still those of the commit; absent when no line was changed.
    lineage: Option<Lineage>,
    /// Edits applied so far.
    edits: usize,
}

/// A file's content and mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileState {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) mode: FileMode,
}

/// A file that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangedFile {
    /// Where it is; for a deleted file, where it was.
    pub(crate) path: RepoPath,
    /// Where it was, if it was moved.
    pub(crate) old_path: Option<RepoPath>,
    /// Its content in the commit; absent for a new file.
    pub(crate) before: Option<Vec<u8>>,
    /// Its content now; absent for a deleted file.
    pub(crate) after: Option<Vec<u8>>,
    /// Its mode now; for a deleted file, what it was.
    pub(crate) mode: FileMode,
}

impl EditedTree {
    /// The commit as it is.
    pub(crate) fn new(base: Arc<Snapshot>) -> Self {
        Self { base, touched: BTreeMap::new() }
    }

    /// The commit after edits that were applied to it before, in the same order.
    ///
    /// # Errors
    /// [`EditError`] when one of them does not apply this time: the base is another one.
    pub(crate) fn replay(base: Arc<Snapshot>, edits: &[Edit]) -> Result<Self, EditError> {
        let mut tree = Self::new(base);
        edits.iter().try_for_each(|edit| tree.apply(edit).map(drop))?;
        Ok(tree)
    }

    /// Carries out one edit. When it is refused, nothing has changed.
    ///
    /// # Errors
    /// [`EditError`], whose text is for the model.
    pub(crate) fn apply(&mut self, edit: &Edit) -> Result<Applied, EditError> {
        let (path, result) = match edit {
            Edit::Replace { path, old, new, replace_all } => {
                (path, self.replace(path, Replacement { old, new, everywhere: *replace_all }))
            }
            Edit::Write { path, content, executable } => (path, self.write(path, content, *executable)),
            Edit::Delete { path } => (path, self.delete(path)),
            Edit::Move { from, to } => (from, self.rename(from, to)),
        };
        result.map_err(|refusal| EditError {
            path: path.clone(),
            position: None,
            applied_before: self.touched.get(path).map_or(0, |touched| touched.edits),
            refusal: Box::new(refusal),
        })
    }

    /// What has changed, in the order of the paths.
    pub(crate) fn changes(&self) -> Vec<ChangedFile> {
        let moves = self.moves();
        let is_moved_away = |path: &RepoPath| moves.values().any(|from| *from == path);
        let mut changes = Vec::new();
        for (path, touched) in &self.touched {
            let old_path = moves.get(path).copied();
            let before = match old_path {
                Some(old_path) => self.touched.get(old_path).and_then(|old| old.before.as_ref()),
                None => touched.before.as_ref(),
            };
            let after = touched.after.as_ref();
            let Some(mode) = after.or(before).map(|state| state.mode) else { continue };
            if (before == after && old_path.is_none()) || (after.is_none() && is_moved_away(path)) {
                continue;
            }
            let bytes = |state: &FileState| state.bytes.to_vec();
            let (before, after) = (before.map(bytes), after.map(bytes));
            changes.push(ChangedFile { path: path.clone(), old_path: old_path.cloned(), before, after, mode });
        }
        changes
    }

    /// A file as the model sees it by now; `None` when it is not there or not text.
    pub(crate) fn shown(&self, path: &RepoPath) -> Option<String> {
        let state = self.current(path).ok()?;
        state.mode.is_file().then(|| FileText::decode(&state.bytes).ok())?.map(|text| text.shown().to_owned())
    }

    /// Writes the edited tree, prints the diff and proves that the one leads to the other.
    ///
    /// # Errors
    /// [`DiffError`] when Git fails, or when the diff does not prove right: a defect of ours.
    pub(crate) fn finish(&self) -> Result<Patch, DiffError> {
        patch::build(&self.base, &self.states(), !self.moves().is_empty())
    }

    fn replace(&mut self, requested: &RepoPath, asked: Replacement<'_>) -> Result<Applied, Refusal> {
        let path = self.locate(requested, Leeway::CaseAndFolders)?;
        let state = self.current(&path)?;
        guard::check_is_plain_file(&state.bytes, state.mode)?;
        let text = FileText::decode(&state.bytes).map_err(|_| Refusal::Binary)?;
        let lineage = self.lineage(&path).cloned().unwrap_or_else(|| Lineage::untouched(text.shown()));
        let base = self.shown_in_base(&path);
        let target = Target { now: text.shown(), base: base.as_deref().unwrap_or(text.shown()), lineage: &lineage };

        let replaced = replace::replace(target, asked)?;
        let bytes = text.rewrite(&replaced.shown).map_err(|escape| Refusal::EscapedByte { line: escape.line })?;
        guard::check_result(&bytes)?;

        let mut notes = replaced.notes;
        if path != *requested {
            notes.insert(0, Note::PathCorrected { requested: requested.clone() });
        }
        let context = applied::context(&replaced.shown, replaced.line, replaced.span);
        let state = FileState { bytes: bytes.into(), mode: state.mode };
        self.put(&path, state, Some(replaced.lineage))?;
        Ok(Applied { path, rung: replaced.rung, line: replaced.line + 1, count: replaced.count, context, notes })
    }

    fn write(&mut self, path: &RepoPath, content: &str, executable: bool) -> Result<Applied, Refusal> {
        let (content, newline_added) = write::with_final_newline(content);
        let mut notes = Vec::new();
        if newline_added {
            notes.push(Note::FinalNewlineAdded);
        }
        let state = if self.exists(path) {
            let state = self.current(path)?;
            guard::check_is_plain_file(&state.bytes, state.mode)?;
            let text = FileText::decode(&state.bytes).map_err(|_| Refusal::Binary)?;
            write::check_rewrite(text.shown(), &content)?;
            let bytes = text.rewrite(&content).map_err(|escape| Refusal::EscapedByte { line: escape.line })?;
            if *bytes == *state.bytes {
                if self.touched.get(path).is_none_or(|touched| touched.edits == 0) {
                    return Err(Refusal::NoChange);
                }
                notes.push(Note::AlreadyApplied);
            }
            FileState { bytes: bytes.into(), mode: state.mode }
        } else {
            self.check_new_path(path)?;
            let is_script = content.starts_with("#!") && self.has_executable_sibling(path);
            if is_script && !executable {
                notes.push(Note::MadeExecutable);
            }
            let mode = if executable || is_script { FileMode::Executable } else { FileMode::Regular };
            FileState { bytes: content.as_bytes().into(), mode }
        };
        guard::check_result(&state.bytes)?;
        self.put(path, state, Some(Lineage::none()))?;
        let shown = applied::context(&content, 0, lines(&content).len());
        Ok(Applied { path: path.clone(), rung: MatchRung::Whole, line: 1, count: 1, context: shown, notes })
    }

    fn delete(&mut self, requested: &RepoPath) -> Result<Applied, Refusal> {
        let path = self.locate(requested, Leeway::Case)?;
        let state = self.current(&path)?;
        if state.mode != FileMode::Symlink {
            guard::check_is_plain_file(&state.bytes, state.mode)?;
        }
        let touched = self.touch(&path)?;
        touched.after = None;
        touched.moved_from = None;
        touched.moved_to = None;
        touched.lineage = None;
        Ok(whole(path, requested))
    }

    fn rename(&mut self, requested: &RepoPath, to: &RepoPath) -> Result<Applied, Refusal> {
        let from = self.locate(requested, Leeway::Case)?;
        if from == *to {
            return Err(Refusal::NoChange);
        }
        let state = self.current(&from)?;
        guard::check_is_plain_file(&state.bytes, state.mode)?;
        if locate::is_case_variant(&from, to) {
            return Err(Refusal::CaseOnlyRename);
        }
        if self.exists(to) {
            return Err(Refusal::Exists);
        }
        self.check_new_path(to)?;

        let source = self.touch(&from)?;
        let lineage = source.lineage.take();
        let was_in_base = source.before.is_some();
        source.after = None;
        source.moved_to = Some(to.clone());
        let origin = source.moved_from.take().or_else(|| was_in_base.then(|| from.clone()));
        let target = self.touch(to)?;
        target.after = Some(state);
        target.moved_from = origin.filter(|origin| origin != to);
        target.lineage = lineage;
        let mut applied = whole(to.clone(), to);
        if from != *requested {
            applied.notes.push(Note::PathCorrected { requested: requested.clone() });
        }
        Ok(applied)
    }
}

fn whole(path: RepoPath, requested: &RepoPath) -> Applied {
    let is_corrected = path != *requested;
    let notes = if is_corrected { vec![Note::PathCorrected { requested: requested.clone() }] } else { Vec::new() };
    Applied { path, rung: MatchRung::Whole, line: 1, count: 1, context: String::new(), notes }
}
