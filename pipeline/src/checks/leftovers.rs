//! Is there anything in the new lines that a model leaves behind but nobody wants in a file?
//!
//! The patterns are for habits seen in public bug reports: a comment in place of code, a conflict marker, the fence
//! around an answer, a tag of the tool call, the line numbers of a listing.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use super::change::{AddedLine, Change};
use super::{Problem, ProblemKind, excerpt};
use crate::sheet::Role;

/// Problems reported per file.
const MAX_PER_FILE: usize = 10;

/// Numbered lines in a row that make a listing.
const MIN_NUMBERED_LINES: usize = 3;

/// What was left in the file's new lines.
pub(super) fn find(change: &Change<'_>, prompt: &str) -> Vec<Problem> {
    let is_code = change.language.is_some_and(|language| matches!(language.role, Role::Program | Role::Config));
    let wants_stubs =
        ["todo", "stub", "skeleton", "placeholder", "scaffold"].iter().any(|w| prompt.to_lowercase().contains(w));
    let mut problems: Vec<Problem> = change
        .added_lines()
        .filter_map(|line| {
            let what = match line.text {
                text if is_conflict_marker(text) => "a conflict marker",
                text if TOOL_TAG.is_match(text) => "a tag of a tool call",
                text if is_code && LAZY_COMMENT.is_match(text) => "a comment in place of code: write the code out",
                text if is_code && !wants_stubs && STUB.is_match(text) => {
                    "a note to implement it later: implement it now"
                }
                _ => return None,
            };
            Some(problem(change, Some(line), what))
        })
        .take(MAX_PER_FILE)
        .collect();
    if is_code {
        problems.extend(fence(change));
        problems.extend(numbered_lines(change));
    }
    problems
}

fn problem(change: &Change<'_>, line: Option<AddedLine<'_>>, what: &str) -> Problem {
    let quote = line.map(|line| format!(": `{}`", excerpt(line.text))).unwrap_or_default();
    Problem {
        kind: ProblemKind::Leftover,
        path: change.path().clone(),
        line: line.map(|line| line.number),
        message: format!("{what}{quote}"),
    }
}

/// `=======` alone says nothing: it underlines headings.
fn is_conflict_marker(text: &str) -> bool {
    ["<<<<<<<", ">>>>>>>", "|||||||"].iter().any(|marker| {
        text.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ') && rest.len() > 1)
    })
}

/// A fence of Markdown as the first or last line of the file. Elsewhere it may belong to a comment.
fn fence(change: &Change<'_>) -> Option<Problem> {
    let is_wrapped = |text: &str| {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let is_fence = |line: Option<&str>| line.is_some_and(|line| line.starts_with("```"));
        is_fence(lines.next()) || is_fence(lines.next_back())
    };
    let is_new = is_wrapped(change.after()?) && !change.before().is_some_and(is_wrapped);
    is_new.then(|| problem(change, None, "the file begins or ends with the fence of a code block: take it out"))
}

/// Lines in a row that begin with numbers in a row, set off like the margin of a listing.
fn numbered_lines(change: &Change<'_>) -> Option<Problem> {
    let mut run = 0;
    let mut previous = 0_u64;
    for line in change.added_lines() {
        let number = MARGIN.captures(line.text).and_then(|captures| captures[1].parse::<u64>().ok());
        run = match number {
            Some(number) if run > 0 && number == previous + 1 => run + 1,
            Some(_) => 1,
            None => 0,
        };
        previous = number.unwrap_or(0);
        if run == MIN_NUMBERED_LINES {
            return Some(problem(change, Some(line), "line numbers of a listing"));
        }
    }
    None
}

/// A number in a margin: `12 | code`, `12→code`, `12\tcode`.
static MARGIN: LazyLock<Regex> = LazyLock::new(|| compile(r"^\s*(\d{1,6})(?: ?[|│] ?|→|\t)"));

/// Tags by which tools are called, and the marks between the files of a sheet.
static TOOL_TAG: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r#"</?antml:|</?(?:function_calls|old_string|new_string|tool_use|tool_result)>|</?invoke(?: name=|>)|<parameter name="(?:file_path|old_string|new_string|content|replace_all)"|^\s*</?parameter>\s*</|</?document id="[0-9a-f]{12}"#,
    )
});

/// A comment that stands for code which the author did not write out. Dots alone count only right after the mark of a
/// plain comment: in documentation they belong to an example.
static LAZY_COMMENT: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"(?x)^\s*
        (?:
            (?: // | \# | /\* | -- | <!-- | \{/\* ) \ ? (?: \.{3} | … ) \s*
          | (?: //+ | \#+ | /\*+ | \*+ | --+ | <!-- | ;+ | \{/\* ) \s* (?:
                (?: \.{3} | … )? \s* \(? (?: the\ )? (?:
                    rest\ of\ (?: the | this | your )\ (?: \w+\ ){0,2}
                        (?: code | file | function | method | methods | class | implementation | module | logic | component
                          | body | tests | config | configuration | fields | cases | imports )
                  | (?: existing | previous | original | other | remaining | unchanged )\ (?: \w+\ ){0,2}
                        (?: code | implementation | logic | methods | functions | imports | content | tests | fields
                          | cases | lines )
                  | (?: code | implementation | everything\ else | rest | file | function | method | logic )
                )
                (?: \ (?: remains? | stays? | is | are | goes | continues | omitted | elided | here | unchanged | the | same
                    | as | before | above | for | brevity ) )*
                (?: \ (?: unchanged | same | omitted | elided | brevity | goes\ here | as\ before | as\ above )
                  | \s* (?: \.{3} | … ) )
              | (?: same | unchanged )\ as\ (?: before | above | the\ original )
              | (?: your | insert | put | add )\ (?: \w+\ ){0,3} (?: code | logic | implementation )\ (?: goes\ )? here
            )
        )
        [\s.…)]* (?: \*/\}? | --> )? \s* $",
    )
});

/// Code that puts the work off, or a comment that says so.
static STUB: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"^(?:[^/\#]|/[^/*])*\b(?:todo|unimplemented)!\(|\b(?:TODO|FIXME|XXX)(?:\([^)]*\))?[:\s-]*(?:please |actually )?(?:implement|finish|complete|fill in|write)\b",
    )
});

fn compile(pattern: &str) -> Regex {
    let ignores_case = pattern.starts_with("(?x)");
    RegexBuilder::new(pattern).case_insensitive(ignores_case).build().expect("a constant, compiled by the tests")
}
