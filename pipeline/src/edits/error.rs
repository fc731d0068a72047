//! Why an edit was not applied, in words the model can act on.

use std::fmt;

use domain::RepoPath;

use super::ladder::MatchRung;
use super::nearest::{Difference, Excerpt, Nearest};

/// An edit that was not applied. Its text is for the model: what happened, why, what is really there, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct EditError {
    /// The path the model gave.
    pub(crate) path: RepoPath,
    /// Which edit of how many, from 1, when the caller counts them.
    pub(crate) position: Option<(usize, usize)>,
    /// Edits of the same file that were applied before.
    pub(crate) applied_before: usize,
    /// Why.
    pub(crate) refusal: Box<Refusal>,
}

impl EditError {
    /// Says which of the edits of a turn this is.
    pub(crate) fn numbered(self, position: usize, of: usize) -> Self {
        Self { position: Some((position, of)), ..self }
    }
}

/// The kinds of refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The text to find is blank.
    BlankText,
    /// The edit would leave the file as it is.
    NoChange,
    /// The text is nowhere in the file.
    NotFound {
        /// What comes nearest.
        nearest: Option<Nearest>,
        /// Line, from 1, where the new text already is.
        new_text_at: Option<usize>,
    },
    /// The text is in several places.
    Ambiguous {
        /// How it was read.
        rung: MatchRung,
        /// The lines, from 1.
        lines: Vec<usize>,
        /// Lines of context that would tell the places apart, if any number does.
        context_needed: Option<usize>,
        /// The first place.
        first: Excerpt,
    },
    /// The text stops within a line, and what is left of the line does not fit the new text.
    CutLine {
        /// The line, from 1.
        line: usize,
        /// Its place.
        excerpt: Excerpt,
    },
    /// The new text would run into the line after it.
    JoinsLine {
        /// That line, from 1.
        line: usize,
        /// Its place.
        excerpt: Excerpt,
    },
    /// Changed text names a byte that is not UTF-8.
    EscapedByte {
        /// The line of the new text, from 1.
        line: usize,
    },
    /// The file would become binary.
    BecomesBinary,
    /// The file would have more bytes than a file may.
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// A long file written anew to change a part of it.
    RewritesLongFile {
        /// Lines of the file.
        lines: usize,
        /// How many of them change, in percent.
        changed_percent: usize,
    },
    /// There is no such file.
    NoSuchFile {
        /// Paths that come nearest.
        nearest: Vec<RepoPath>,
        /// What an earlier edit did to it.
        fate: Option<Fate>,
    },
    /// The target of a move is taken.
    Exists,
    /// A file where a folder is, or the other way round.
    FolderClash {
        /// What is there.
        existing: String,
    },
    /// The path differs from another one only in case or spelling of its characters.
    CaseTwin {
        /// The other one.
        existing: String,
    },
    /// A move that changes only the case.
    CaseOnlyRename,
    /// A name that Windows cannot have.
    ReservedName,
    /// A symbolic link.
    Symlink,
    /// Another repository.
    Submodule,
    /// A pointer to a file in Git LFS.
    LfsPointer,
    /// A binary file.
    Binary,
    /// The content is missing, too large to read, or damaged.
    Unreadable,
    /// The tree has an entry there that no edit may touch.
    Untouchable,
    /// The job is limited to other paths.
    Outside,
}

/// What an earlier edit did to a file that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Deleted,
    MovedTo(RepoPath),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((position, of)) => write!(f, "Edit {position} of {of} in {} was not applied", self.path)?,
            None => write!(f, "The edit in {} was not applied", self.path)?,
        }
        match self.applied_before {
            0 => {}
            1 => write!(f, " (1 other in this file was: do not resend it)")?,
            n => write!(f, " ({n} others in this file were: do not resend them)")?,
        }
        write!(f, ". Reason: {}", Reason(&self.refusal))?;
        if let Some(excerpt) = self.refusal.excerpt() {
            let last_line = excerpt.first_line + excerpt.lines.len().max(1) - 1;
            write!(f, "\nLines {}-{last_line} of the file", excerpt.first_line)?;
            if excerpt.shows_invisible {
                f.write_str(" (→ is a tab, · a no-break space)")?;
            }
            write!(f, ":\n{excerpt}")?;
        }
        write!(f, "\n{}", Advice(&self.refusal))
    }
}

impl Refusal {
    fn excerpt(&self) -> Option<&Excerpt> {
        match self {
            Self::NotFound { nearest, .. } => nearest.as_ref().map(|nearest| &nearest.excerpt),
            Self::Ambiguous { first: excerpt, .. }
            | Self::CutLine { excerpt, .. }
            | Self::JoinsLine { excerpt, .. } => Some(excerpt),
            _ => None,
        }
    }
}

/// What went wrong, without a final full stop's worth of advice.
struct Reason<'a>(&'a Refusal);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Refusal::BlankText => f.write_str("the text to replace is empty or only blanks."),
            Refusal::NoChange => f.write_str("no change: the file already reads like that."),
            Refusal::NotFound { nearest, new_text_at } => {
                write!(f, "no exact match{}.", Differing(nearest.as_ref()))?;
                new_text_at.map_or(Ok(()), |line| write!(f, " The new text is already in the file, at line {line}."))
            }
            Refusal::Ambiguous { rung, lines, .. } => {
                write!(f, "{} matches, at lines {}", lines.len(), List(lines))?;
                f.write_str(match rung {
                    MatchRung::Whole | MatchRung::Exact => ".",
                    MatchRung::Trim => " (blanks at line ends aside).",
                    MatchRung::Unicode => " (look-alike characters aside).",
                    MatchRung::Indent => " (indentation aside).",
                    MatchRung::Unescape => " (one level of escaping undone).",
                    MatchRung::Elision => " (a piece between the elision lines).",
                })
            }
            Refusal::CutLine { line, .. } => {
                write!(f, "the text stops within line {line}, and the rest of that line does not fit the new text.")
            }
            Refusal::JoinsLine { line, .. } => {
                write!(
                    f,
                    "the new text does not end with a newline as the old one does: it would run into line {line}."
                )
            }
            Refusal::EscapedByte { line } => write!(
                f,
                "line {line} of the new text holds the name of a byte that is not UTF-8 (� and two digits). Such bytes \
                 can stay where they are or go, but they cannot be written."
            ),
            Refusal::BecomesBinary => f.write_str("the new text holds a NUL, which would make the file binary."),
            Refusal::TooLarge { max_bytes } => write!(f, "the file would have more than {max_bytes} bytes."),
            Refusal::RewritesLongFile { lines, changed_percent } => {
                write!(f, "the file has {lines} lines and only {changed_percent} % of them change.")
            }
            Refusal::NoSuchFile { fate: Some(Fate::Deleted), .. } => f.write_str("an earlier edit deleted this file."),
            Refusal::NoSuchFile { fate: Some(Fate::MovedTo(to)), .. } => {
                write!(f, "an earlier edit moved this file to {to}.")
            }
            Refusal::NoSuchFile { nearest, fate: None } => {
                f.write_str("there is no such file.")?;
                if nearest.is_empty() { Ok(()) } else { write!(f, " The nearest paths: {}.", List(nearest)) }
            }
            Refusal::Exists => f.write_str("the target of the move is a file that exists."),
            Refusal::FolderClash { existing } => write!(f, "{existing} is in the way: a path is a file or a folder."),
            Refusal::CaseTwin { existing } => {
                write!(f, "the path differs only in upper and lower case from {existing}.")
            }
            Refusal::CaseOnlyRename => f.write_str("the two paths differ only in upper and lower case."),
            Refusal::ReservedName => f.write_str("Windows cannot have a file of that name."),
            Refusal::Symlink => f.write_str("it is a symbolic link."),
            Refusal::Submodule => f.write_str("it is a submodule: its files are in another repository."),
            Refusal::LfsPointer => f.write_str("it is a pointer to a file in Git LFS."),
            Refusal::Binary => f.write_str("it is a binary file."),
            Refusal::Unreadable => f.write_str("its content is not available here."),
            Refusal::Untouchable => f.write_str("the repository has an entry there that cannot be edited."),
            Refusal::Outside => f.write_str("the path is outside of those that the task is limited to."),
        }
    }
}

/// One instruction.
struct Advice<'a>(&'a Refusal);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Refusal::BlankText => f.write_str("Quote the lines to change, or use Write to fill an empty file."),
            Refusal::NoChange => f.write_str("Go on with the next change."),
            Refusal::NotFound { nearest: Some(_), .. } => {
                f.write_str("Resend only this edit, and copy the text to replace from the lines above.")
            }
            Refusal::NotFound { nearest: None, .. } => f.write_str("The file is empty: use Write."),
            Refusal::Ambiguous { context_needed: Some(lines), .. } => {
                let plural = if *lines == 1 { "" } else { "s" };
                write!(f, "Resend only this edit with {lines} more line{plural} of context, so that it is unique.")
            }
            Refusal::Ambiguous { context_needed: None, .. } => {
                f.write_str("Resend only this edit with so much context that it is unique, or with replace_all.")
            }
            Refusal::CutLine { .. } => f.write_str("Resend only this edit, and quote its first and last line in full."),
            Refusal::JoinsLine { .. } => f.write_str("Resend only this edit, with both texts ending alike."),
            Refusal::EscapedByte { .. } => f.write_str("Resend only this edit without such lines."),
            Refusal::BecomesBinary => f.write_str("Resend only this edit without the NUL."),
            Refusal::TooLarge { .. } => f.write_str("Write less."),
            Refusal::RewritesLongFile { .. } => f.write_str("Use Edit for each place that changes."),
            Refusal::NoSuchFile { .. } => f.write_str("Resend only this edit with the path of a file that exists."),
            Refusal::Exists => f.write_str("Choose another path, or delete that file first."),
            Refusal::FolderClash { .. } | Refusal::ReservedName => f.write_str("Choose another path."),
            Refusal::CaseTwin { .. } | Refusal::CaseOnlyRename => {
                f.write_str("Not every file system tells the two apart: use the path that exists, or another name.")
            }
            Refusal::Symlink => f.write_str("Edit the file it points to; a link itself can only be deleted."),
            Refusal::Outside => f.write_str("Keep to the files that are listed, and to new ones beside them."),
            Refusal::Submodule | Refusal::LfsPointer | Refusal::Binary | Refusal::Unreadable | Refusal::Untouchable => {
                f.write_str("Leave it as it is.")
            }
        }
    }
}

/// How the nearest lines differ, as the rest of a sentence.
struct Differing<'a>(Option<&'a Nearest>);

impl fmt::Display for Differing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|nearest| &nearest.difference) {
            Some(Difference::Blanks { lines, of }) => {
                write!(f, ": it differs only in blanks, at {lines} of {of} lines")
            }
            Some(Difference::Lines { lines, of }) => write!(f, ": the nearest lines differ at {lines} of {of}"),
            Some(Difference::Everything) | None => Ok(()),
        }
    }
}

/// `a, b and c`; a long list is cut.
struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 8;
        for (index, item) in self.0.iter().take(MOST).enumerate() {
            let is_last = index + 1 == self.0.len();
            let separator = if index == 0 {
                ""
            } else if is_last {
                " and "
            } else {
                ", "
            };
            write!(f, "{separator}{item}")?;
        }
        if self.0.len() > MOST { f.write_str(", …") } else { Ok(()) }
    }
}
