//! Machine checks of an edited tree: what can be found out without an opinion, before a model is asked for one.
//!
//! [`run`] looks at the changed files and reports [`Problem`]s, which somebody must repair, and [`Flag`]s, which a person
//! must see. What was there before is never a problem: each check compares with the base.

mod change;
mod flags;
mod leftovers;
mod scope;
mod secrets;
mod structure;
mod syntax;
#[cfg(test)]
mod tests;

use std::fmt;

use domain::{Flag, FlagKind, RepoPath};
use serde::{Deserialize, Serialize};

use self::change::Change;
use crate::edits::ChangedFile;

/// Longest quotation of a line in a message, in characters.
const MAX_EXCERPT_CHARACTERS: usize = 120;

/// What the checks found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// To be repaired, in the order of the files.
    pub(crate) problems: Vec<Problem>,
    /// To be seen by a person, in the order of the files.
    pub(crate) flags: Vec<Flag>,
}

/// Something wrong with a changed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// What kind of wrong.
    pub(crate) kind: ProblemKind,
    /// The file, after the change.
    pub(crate) path: RepoPath,
    /// Line of the file after the change, from 1; absent when the whole file is meant.
    pub(crate) line: Option<u64>,
    /// What is wrong and what to do, for the model and for a person; never with a secret in it.
    pub(crate) message: String,
}

/// The kinds of problems, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProblemKind {
    /// A secret was added.
    Secret,
    /// Program text parses worse than before.
    Syntax,
    /// A structured file does not parse any more.
    Structure,
    /// Something that was never meant to be in a file.
    Leftover,
    /// A file that the plan does not name.
    Unplanned,
    /// A file in which only blanks changed.
    WhitespaceOnly,
}

impl ProblemKind {
    const ALL: [Self; 6] =
        [Self::Secret, Self::Syntax, Self::Structure, Self::Leftover, Self::Unplanned, Self::WhitespaceOnly];

    /// Whether a diff with such a problem must not be handed out.
    fn is_blocking(self) -> bool {
        self == Self::Secret
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret => "secret",
            Self::Syntax => "syntax",
            Self::Structure => "structure",
            Self::Leftover => "leftover",
            Self::Unplanned => "unplanned",
            Self::WhitespaceOnly => "whitespace only",
        })
    }
}

/// Checks the changed files. Blocks: each file of a known language is parsed twice.
///
/// `planned` are the paths that the plan names; with none of them, no file is unplanned. What the prompt asks for
/// (formatting, stubs, addresses) is not held against the change.
pub(crate) fn run(changes: &[ChangedFile], planned: &[RepoPath], prompt: &str) -> Report {
    let mut report = Report::default();
    for file in changes {
        let change = Change::new(file);
        report.problems.extend(scope::planned(&change, planned));
        report.problems.extend(scope::whitespace_only(&change, prompt));
        report.problems.extend(syntax::parses(&change));
        report.problems.extend(structure::parses(&change));
        report.problems.extend(leftovers::find(&change, prompt));
        report.problems.extend(secrets::added(&change));
        report.flags.extend(flags::of(&change, prompt));
    }
    report
}

impl Report {
    /// Whether the diff must not be handed out as it is.
    pub(crate) fn has_blocking(&self) -> bool {
        self.problems.iter().any(|problem| problem.kind.is_blocking())
    }

    /// Whether this is worse than `other`: it has more of the worst kind in which the two differ.
    pub(crate) fn is_worse_than(&self, other: &Self) -> bool {
        let counts = |report: &Self| {
            ProblemKind::ALL.map(|kind| report.problems.iter().filter(|problem| problem.kind == kind).count())
        };
        counts(self) > counts(other)
    }

    /// The flags, and each problem as one: what a person sees of a report when no repair comes any more.
    pub(crate) fn into_flags(self) -> Vec<Flag> {
        let problems = self.problems.into_iter().map(|problem| Flag {
            kind: match problem.kind {
                ProblemKind::Secret => FlagKind::SecretAdded,
                ProblemKind::Unplanned => FlagKind::Unplanned,
                ProblemKind::Syntax | ProblemKind::Structure | ProblemKind::Leftover | ProblemKind::WhitespaceOnly => {
                    FlagKind::CheckFailed
                }
            },
            path: problem.path,
            line: problem.line,
            note: problem.message,
        });
        let mut flags: Vec<Flag> = self.flags.into_iter().chain(problems).collect();
        flags.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        flags
    }
}

/// One line for each problem, then for each flag: for the model and the reviewer.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.problems.is_empty() && self.flags.is_empty() {
            return writeln!(f, "The machine checks found nothing.");
        }
        for Problem { kind, path, line, message } in &self.problems {
            writeln!(f, "problem ({kind}) {}: {message}", Place(path, *line))?;
        }
        for Flag { kind, path, line, note } in &self.flags {
            writeln!(f, "note ({kind}) {}: {note}", Place(path, *line))?;
        }
        Ok(())
    }
}

struct Place<'a>(&'a RepoPath, Option<u64>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(line) => write!(f, "{}:{line}", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A line for quoting in a message: short, printable, and without secrets.
fn excerpt(line: &str) -> String {
    if secrets::is_in(line) {
        return "(a line with a secret)".to_owned();
    }
    line.trim().chars().take(MAX_EXCERPT_CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
