//! Where is the text the model wants replaced? A ladder of readings, from exact to lenient.
//!
//! Each rung forgives one more kind of slip. The first rung with a hit decides, and it must have exactly one: two hits
//! are a refusal, not a choice. No rung measures similarity, because a text that is merely near is often the wrong one
//! (of three-line blocks in real code, one in eleven is ambiguous).

mod elision;
mod exact;
mod unescape;
mod windows;

use std::fmt;
use std::ops::Range;

pub(super) use exact::occurrences;
use serde::{Deserialize, Serialize};

use crate::text::lines;

/// How the place of an edit was found, from strict to lenient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MatchRung {
    /// Nothing had to be found: a whole file was written, deleted or moved.
    Whole,
    /// Byte for byte, line ends aside.
    Exact,
    /// But for blanks at the ends of lines, and a blank line before or after.
    Trim,
    /// But for characters that look alike.
    Unicode,
    /// But for the indentation of the whole block.
    Indent,
    /// After undoing one level of escaping.
    Unescape,
    /// Piece by piece, between elision lines.
    Elision,
}

impl MatchRung {
    /// The name used in tool results and reports.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Exact => "exact",
            Self::Trim => "trim",
            Self::Unicode => "unicode",
            Self::Indent => "indent",
            Self::Unescape => "unescape",
            Self::Elision => "elision",
        }
    }
}

impl fmt::Display for MatchRung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What to put where, as offsets into the shown text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) place: Range<usize>,
    pub(super) text: String,
}

/// The one place of an edit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) rung: MatchRung,
    /// In order, without overlap; at least one.
    pub(super) splices: Vec<Splice>,
}

/// Why there is no such place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// No rung has a hit.
    Nowhere,
    /// The deciding rung has several, at these lines (from 0).
    Ambiguous { rung: MatchRung, lines: Vec<usize> },
    /// The text stops in the middle of this line (from 0), and what would be left of the line does not fit.
    CutLine(usize),
    /// The text ends with its line, the new text does not: it would run into this line (from 0).
    JoinsLine(usize),
}

/// One rung, or a few that share their work: looks for `old` in a file to put `new` there.
type Find = fn(file: &str, old: &str, new: &str) -> Result<Found, Miss>;

/// Climbs the ladder. All three texts are as shown ([`crate::text::as_shown`]); `old` is not blank.
pub(super) fn climb(file: &str, old: &str, new: &str) -> Result<Found, Miss> {
    const RUNGS: [Find; 4] = [exact::find, windows::find, unescape::find, elision::find];
    for find in RUNGS {
        match find(file, old, new) {
            Err(Miss::Nowhere) => {}
            decided => return decided,
        }
    }
    Err(Miss::Nowhere)
}

/// Carries out the splices of one edit.
pub(super) fn splice(file: &str, splices: &[Splice]) -> String {
    let mut result = String::with_capacity(file.len());
    let mut copied = 0;
    for Splice { place, text } in splices {
        result.push_str(&file[copied..place.start]);
        result.push_str(text);
        copied = place.end;
    }
    result.push_str(&file[copied..]);
    result
}

/// The splice that puts `new` lines in the place of whole lines of the file.
fn splice_lines(file: &str, starts: &[usize], lines: Range<usize>, new: &[String]) -> Splice {
    let start = starts[lines.start];
    let next = starts.get(lines.end).copied();
    if new.is_empty() {
        return Splice { place: start..next.unwrap_or(file.len()), text: String::new() };
    }
    // The last line keeps its line end, or its lack of one.
    let end = next.map_or_else(|| file.strip_suffix('\n').unwrap_or(file).len(), |next| next - 1);
    Splice { place: start..end, text: new.join("\n") }
}

/// The lines of `new` that take the place of the lines of `old`. Where `old` stops before its last line end, a line end at
/// the end of `new` is one more than there was: an empty line.
fn new_lines<'a>(old: &str, new: &'a str) -> Vec<&'a str> {
    if new.is_empty() || old.ends_with('\n') { lines(new) } else { new.split('\n').collect() }
}

/// The line (from 0) in which an offset lies. The offset may be inside a character: the last byte of a place often is.
pub(super) fn line_at(file: &str, offset: usize) -> usize {
    file.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count()
}
