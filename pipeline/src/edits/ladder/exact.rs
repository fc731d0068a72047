//! Rung 0: byte for byte. The only rung where a part of a line may be meant.

use super::{Found, MatchRung, Miss, Splice, line_at};

/// Places counted at most; a text with more is ambiguous all the same.
const MAX_OCCURRENCES: usize = 1_000;

/// The offsets at which `old` begins, overlapping ones included.
pub(crate) fn occurrences(file: &str, old: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut from = 0;
    let step = old.chars().next().map_or(1, char::len_utf8);
    while found.len() < MAX_OCCURRENCES
        && let Some(at) = file.get(from..).and_then(|rest| rest.find(old))
    {
        found.push(from + at);
        from += at + step;
    }
    found
}

/// The only occurrence of `old`, if cutting it out leaves whole what surrounds it.
pub(super) fn find(file: &str, old: &str, new: &str) -> Result<Found, Miss> {
    let start = match occurrences(file, old)[..] {
        [] => return Err(Miss::Nowhere),
        [only] => only,
        ref several => {
            let lines = several.iter().map(|&at| line_at(file, at)).collect();
            return Err(Miss::Ambiguous { rung: MatchRung::Exact, lines });
        }
    };
    let edges = Edges::of(file, start, start + old.len());
    if edges.are_cut(old, new) {
        return Err(Miss::CutLine(line_at(file, start + old.len())));
    }
    match edges.left_out_indent(old, new) {
        Indent::Fits => {}
        Indent::Relative => return Err(Miss::Nowhere),
        Indent::Unclear => return Err(Miss::CutLine(line_at(file, start))),
    }
    if edges.would_join(old, new) {
        return Err(Miss::JoinsLine(line_at(file, start + old.len())));
    }
    // Whole lines replaced by nothing are gone, and not left behind empty.
    let takes_line_end = new.is_empty() && edges.is_whole_lines() && file[start + old.len()..].starts_with('\n');
    let end = start + old.len() + usize::from(takes_line_end);
    let splices = vec![Splice { place: start..end, text: new.to_owned() }];
    Ok(Found { rung: MatchRung::Exact, splices })
}

/// What stands on the same lines before and after a match.
struct Edges<'a> {
    before: &'a str,
    after: &'a str,
    /// The text after the match, to the end of the file.
    rest: &'a str,
}

impl<'a> Edges<'a> {
    fn of(file: &'a str, start: usize, end: usize) -> Self {
        let line_start = file[..start].rfind('\n').map_or(0, |at| at + 1);
        let rest = &file[end..];
        let after = if end > 0 && file[..end].ends_with('\n') { "" } else { rest.split('\n').next().unwrap_or(rest) };
        Self { before: &file[line_start..start], after, rest }
    }

    fn is_whole_lines(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// Whether `old` looks like text that was cut off, so that the rest of its line would be left over. A model that
    /// means part of a line quotes the same part in `new`, or quotes only that; one that was cut off does not.
    fn are_cut(&self, old: &str, new: &str) -> bool {
        let repeats_rest = !self.after.trim().is_empty() && new.ends_with(self.after) && !old.ends_with(self.after);
        if !old.contains('\n') {
            return repeats_rest;
        }
        let tail_is_cut = !self.after.trim().is_empty() && last_line(old) != last_line(new);
        let head_is_cut = !self.before.trim().is_empty() && first_line(old) != first_line(new);
        repeats_rest || tail_is_cut || head_is_cut
    }

    /// What it means that `old` begins after the indentation of its line. Then it stays in front of the first line of
    /// `new` — but the other lines may be meant relative to it, or from the margin.
    fn left_out_indent(&self, old: &str, new: &str) -> Indent {
        if self.before.is_empty() || !self.before.trim().is_empty() || new.is_empty() {
            return Indent::Fits;
        }
        if blank_start(first_line(old)) != blank_start(first_line(new)) {
            return Indent::Unclear;
        }
        let mut later = new.split('\n').skip(1).filter(|line| !line.trim().is_empty());
        if old.contains('\n') {
            // The other lines of `old` are as in the file, from the margin. So must the first be, if it moved down.
            let has_moved = later.any(|line| line == first_line(old));
            return if has_moved { Indent::Unclear } else { Indent::Fits };
        }
        let is_relative = later.clone().any(|line| !line.starts_with(self.before));
        match (later.next().is_some(), is_relative && self.after.is_empty()) {
            (false, _) => Indent::Fits,
            (true, true) => Indent::Relative,
            (true, false) => Indent::Unclear,
        }
    }

    /// Whether whole lines would be replaced by text that runs into the line after them.
    fn would_join(&self, old: &str, new: &str) -> bool {
        old.ends_with('\n')
            && !new.is_empty()
            && !new.ends_with('\n')
            && self.before.trim().is_empty()
            && !self.rest.is_empty()
    }
}

/// How the lines of `new` go with an indentation that `old` leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Indent {
    /// As they are.
    Fits,
    /// They leave it out too: a case for the indentation rung.
    Relative,
    /// Either way.
    Unclear,
}

fn blank_start(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn first_line(text: &str) -> &str {
    text.split('\n').next().unwrap_or(text)
}

fn last_line(text: &str) -> &str {
    text.rsplit('\n').next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::super::splice;
    use super::*;

    fn replace(file: &str, old: &str, new: &str) -> Result<String, Miss> {
        find(file, old, new).map(|found| splice(file, &found.splices))
    }

    #[test]
    fn a_part_of_a_line_may_be_meant() {
        assert_eq!(replace("let a = 1;\n", "a = 1", "a = 2"), Ok("let a = 2;\n".to_owned()));
        assert_eq!(replace("  f(x,\n    y);\n", "f(x,\n    y", "g(x,\n    y"), Ok("  g(x,\n    y);\n".to_owned()));
    }

    #[test]
    fn two_places_are_refused_even_when_they_overlap() {
        let several = |lines: &[usize]| Err(Miss::Ambiguous { rung: MatchRung::Exact, lines: lines.to_vec() });
        assert_eq!(replace("a\nb\na\n", "a", "x"), several(&[0, 2]));
        assert_eq!(replace("aaa\n", "aa", "b"), several(&[0, 0]));
    }

    #[test]
    fn refuses_a_text_that_was_cut_off() {
        let file = "use std::fmt;\nuse std::thread;\n";
        assert_eq!(
            replace(file, "use std::fmt;\nuse std::threa", "use std::io;\nuse std::thread;"),
            Err(Miss::CutLine(1))
        );
        assert_eq!(replace(file, "use std::threa", "use std::thread;"), Err(Miss::CutLine(1)));
        assert_eq!(replace(file, "use std::fmt;\nuse std::", "use std::fmt;\nuse core::"), Err(Miss::CutLine(1)));
    }

    #[test]
    fn refuses_to_guess_an_indentation() {
        let file = "def f():\n    go()\n";
        assert_eq!(replace(file, "go()", "if x:\n    go()"), Err(Miss::CutLine(1)));
        assert_eq!(replace(file, "go()", "    stop()"), Err(Miss::CutLine(1)));
        assert_eq!(replace(file, "go()", "stop()\ngo()"), Err(Miss::Nowhere));
        assert_eq!(replace(file, "go()", "stop()"), Ok("def f():\n    stop()\n".to_owned()));
    }

    #[test]
    fn refuses_to_glue_two_lines_together() {
        assert_eq!(replace("a\nb\n", "a\n", "x"), Err(Miss::JoinsLine(1)));
        assert_eq!(replace("a\nb\n", "b\n", "x"), Ok("a\nx".to_owned()));
    }

    #[test]
    fn whole_lines_replaced_by_nothing_are_gone() {
        assert_eq!(replace("a\nb\nc\n", "b", ""), Ok("a\nc\n".to_owned()));
        assert_eq!(replace("a\nb c\n", "b", ""), Ok("a\n c\n".to_owned()));
    }
}
