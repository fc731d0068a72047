//! What an edit did, in words the model can go on from.

use std::fmt;

use domain::RepoPath;

use super::ladder::MatchRung;
use crate::text::lines;

/// Lines of context shown at most.
const MAX_CONTEXT_LINES: usize = 12;
/// Lines shown before and after what changed.
const CONTEXT_MARGIN: usize = 3;
/// Longest line shown in full, in characters.
const MAX_LINE_CHARS: usize = 200;

/// An edit that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    /// The file that was changed; for a move, where it is now.
    pub(crate) path: RepoPath,
    /// How the place was found.
    pub(crate) rung: MatchRung,
    /// First line that changed, from 1.
    pub(crate) line: usize,
    /// Places that were changed.
    pub(crate) count: usize,
    /// The file around the change, as it is now.
    pub(crate) context: String,
    /// What the model should know about how it was done.
    pub(crate) notes: Vec<Note>,
}

/// Something that was done otherwise than the model wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// The path was not quite that of a file.
    PathCorrected { requested: RepoPath },
    /// The file already had the new text, from an earlier edit.
    AlreadyApplied,
    /// The text is in several places now, but was in one before the edits.
    FoundInBase,
    /// Line numbers were taken off.
    GutterStripped,
    /// Closing tags of a tool call were taken off.
    LeakedTagsStripped,
    /// A final newline was added.
    FinalNewlineAdded,
    /// The new script is executable.
    MadeExecutable,
}

impl Applied {
    /// Whether the file is as it was before: the edit had been applied already.
    pub(crate) fn is_repeat(&self) -> bool {
        self.notes.contains(&Note::AlreadyApplied)
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rung, self.count) {
            _ if self.is_repeat() => write!(f, "ok: {} already has this change", self.path)?,
            (MatchRung::Whole, _) => write!(f, "ok: {}", self.path)?,
            (rung, 1) => write!(f, "ok: {} line {} (match: {rung})", self.path, self.line)?,
            (rung, count) => {
                write!(f, "ok: {} in {count} places, first at line {} (match: {rung})", self.path, self.line)?;
            }
        }
        for note in self.notes.iter().filter(|note| **note != Note::AlreadyApplied) {
            write!(f, "\nnote: {note}")?;
        }
        if self.context.is_empty() { Ok(()) } else { write!(f, "\n{}", self.context) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PathCorrected { requested } => write!(f, "there is no {requested}; this is the file that was meant"),
            Self::AlreadyApplied => f.write_str("nothing was left to do"),
            Self::FoundInBase => f.write_str("the text is in several places now; the original one was changed"),
            Self::GutterStripped => f.write_str("line numbers were taken off: they are not part of the file"),
            Self::LeakedTagsStripped => f.write_str("closing tags were taken off the end of the text"),
            Self::FinalNewlineAdded => f.write_str("a final newline was added"),
            Self::MadeExecutable => f.write_str("the script is executable, like the others in its folder"),
        }
    }
}

/// The lines `first..first + changed` (from 0) of a text with a few around them.
pub(super) fn context(shown: &str, first: usize, changed: usize) -> String {
    let lines = lines(shown);
    let start = first.saturating_sub(CONTEXT_MARGIN);
    let end = (first + changed + CONTEXT_MARGIN).min(start + MAX_CONTEXT_LINES).min(lines.len());
    let show = |line: &&str| line.chars().take(MAX_LINE_CHARS).collect::<String>();
    lines.get(start..end).unwrap_or_default().iter().map(show).collect::<Vec<_>>().join("\n")
}
