//! Does the change touch only what it should?

use domain::RepoPath;

use super::change::Change;
use super::{Problem, ProblemKind};

/// Languages in which blanks at the start of a line have a meaning.
const INDENTED_LANGUAGES: &[&str] = &[
    "python",
    "yaml",
    "make",
    "markdown",
    "restructuredtext",
    "haskell",
    "nim",
    "f#",
    "elm",
    "sass",
    "template",
    "just",
];

/// Words of a prompt that ask for changes of blanks.
const FORMATTING_WORDS: &[&str] = &[
    "format",
    "whitespace",
    "white space",
    "indent",
    "newline",
    "line ending",
    "trailing",
    "crlf",
    "tabs",
    "spaces",
    "lint",
];

/// A file that the plan does not name. A new file may join a planned one in its folder; without a plan, all is planned.
pub(super) fn planned(change: &Change<'_>, planned: &[RepoPath]) -> Option<Problem> {
    let path = change.path();
    let is_planned = planned.is_empty()
        || planned.contains(path)
        || change.file.old_path.as_ref().is_some_and(|old_path| planned.contains(old_path))
        || change.is_new() && planned.iter().any(|other| other.parent() == path.parent());
    (!is_planned).then(|| Problem {
        kind: ProblemKind::Unplanned,
        path: path.clone(),
        line: None,
        message: "is not in the plan: undo the change, or say why it is needed".to_owned(),
    })
}

/// A file in which nothing but blanks changed, though the prompt does not ask for that.
pub(super) fn whitespace_only(change: &Change<'_>, prompt: &str) -> Option<Problem> {
    let (before, after) = (change.before()?, change.after()?);
    let prompt = prompt.to_lowercase();
    if before == after || FORMATTING_WORDS.iter().any(|word| prompt.contains(word)) {
        return None;
    }
    let is_indented = change.language.is_some_and(|language| INDENTED_LANGUAGES.contains(&language.name));
    let is_same = if is_indented {
        significant_lines(before).eq(significant_lines(after))
    } else {
        significant_characters(before).eq(significant_characters(after))
    };
    is_same.then(|| Problem {
        kind: ProblemKind::WhitespaceOnly,
        path: change.path().clone(),
        line: None,
        message: "only blanks changed: undo it".to_owned(),
    })
}

fn significant_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty())
}

fn significant_characters(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| !c.is_whitespace())
}
