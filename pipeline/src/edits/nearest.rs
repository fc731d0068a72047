//! The part of a file that comes nearest to a text that is not in it, to show the model what it should copy.

use std::fmt;

use super::fold::fold_line;
use super::similarity::Pairs;
use crate::text::lines;

/// Lines shown at most.
const EXCERPT_LINES: usize = 12;
/// Longest line shown in full, in characters.
const MAX_LINE_CHARS: usize = 400;
/// Lines compared at most; files beyond are searched at their beginning only.
const MAX_COMPARED_LINES: usize = 20_000;

/// A few real lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// Line of the first, from 1.
    pub(crate) first_line: usize,
    /// The lines, without line ends.
    pub(crate) lines: Vec<String>,
    /// Whether tabs, odd blanks and the like are drawn as visible characters.
    pub(crate) shows_invisible: bool,
}

/// How the nearest lines differ from the text that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Difference {
    /// In nothing but blanks: indentation, tabs, inner spacing.
    Blanks {
        /// Lines that differ.
        lines: usize,
        /// Lines compared.
        of: usize,
    },
    /// In the text of some lines.
    Lines {
        /// Lines that differ.
        lines: usize,
        /// Lines compared.
        of: usize,
    },
    /// In every line.
    Everything,
}

/// The nearest place and how it differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Nearest {
    pub(crate) difference: Difference,
    pub(crate) excerpt: Excerpt,
}

impl Nearest {
    /// Looks for the place where most lines of `old` agree; `None` in an empty file.
    pub(super) fn find(file: &str, old: &str) -> Option<Self> {
        let file: Vec<&str> = lines(file).into_iter().take(MAX_COMPARED_LINES).collect();
        let old: Vec<&str> = lines(old).into_iter().skip_while(|line| line.trim().is_empty()).take(200).collect();
        if file.is_empty() || old.is_empty() {
            return None;
        }
        let squeezed: Vec<String> = file.iter().map(|line| squeeze(line)).collect();
        let wanted: Vec<String> = old.iter().map(|line| squeeze(line)).collect();
        let agreeing = |start: usize| {
            let pairs = squeezed[start..].iter().zip(&wanted);
            pairs.filter(|(file, wanted)| !wanted.is_empty() && file == wanted).count()
        };
        let (start, agreed) = (0..file.len()).map(|start| (start, agreeing(start))).rev().max_by_key(|(_, n)| *n)?;
        let of = wanted.iter().filter(|line| !line.is_empty()).count();
        if agreed == 0 {
            let start = most_alike(&file, &old)?;
            return Some(Self { difference: Difference::Everything, excerpt: Excerpt::around(&file, start, 1, false) });
        }
        let exact = file[start..].iter().zip(&old).filter(|(f, o)| f == o && !o.trim().is_empty()).count();
        let difference = if agreed == of {
            Difference::Blanks { lines: of - exact, of }
        } else {
            Difference::Lines { lines: of - agreed, of }
        };
        let shows_invisible = matches!(difference, Difference::Blanks { .. });
        Some(Self { difference, excerpt: Excerpt::around(&file, start, old.len(), shows_invisible) })
    }
}

impl Excerpt {
    /// The lines around a place; `start` counts from 0.
    pub(super) fn around(file: &[&str], start: usize, len: usize, shows_invisible: bool) -> Self {
        let margin = EXCERPT_LINES.saturating_sub(len) / 2;
        let first = start.saturating_sub(margin);
        let shown = file.iter().skip(first).take(EXCERPT_LINES);
        let lines = shown.map(|line| show_line(line, shows_invisible)).collect();
        Self { first_line: first + 1, lines, shows_invisible }
    }
}

/// The lines between fences long enough for their content.
impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_fence = self.lines.iter().any(|line| line.contains("```"));
        let fence = if has_fence { "``````" } else { "```" };
        writeln!(f, "{fence}")?;
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        f.write_str(fence)
    }
}

/// The line that shares most with the longest line of `old`.
fn most_alike(file: &[&str], old: &[&str]) -> Option<usize> {
    let longest = old.iter().max_by_key(|line| line.trim().len())?;
    let wanted = Pairs::of(longest.trim());
    let likeness = file.iter().map(|line| wanted.likeness(line.trim()));
    likeness.enumerate().rev().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(line, _)| line)
}

/// A line without any blanks, as it reads.
fn squeeze(line: &str) -> String {
    fold_line(line).chars().filter(|c| !c.is_whitespace()).collect()
}

fn show_line(line: &str, shows_invisible: bool) -> String {
    let cut = line.chars().count() > MAX_LINE_CHARS;
    let shown = line.chars().take(MAX_LINE_CHARS).map(|c| match c {
        '\r' => '␍',
        '\t' if shows_invisible => '→',
        '\u{A0}' if shows_invisible => '·',
        other => other,
    });
    shown.chain(cut.then_some('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_place_where_most_lines_agree() {
        let file = "fn a() {\n    one();\n}\nfn b() {\n    two();\n}\n";
        let nearest = Nearest::find(file, "fn b() {\n    too();\n}").expect("not empty");
        assert_eq!(nearest.difference, Difference::Lines { lines: 1, of: 3 });
        assert_eq!(nearest.excerpt.first_line, 1);
    }

    #[test]
    fn makes_blanks_visible_when_they_are_the_difference() {
        let nearest = Nearest::find("if x:\n\treturn\u{A0}1\n", "if x:\n  return  1\n").expect("not empty");
        assert_eq!(nearest.difference, Difference::Blanks { lines: 1, of: 2 });
        assert_eq!(nearest.excerpt.to_string(), "```\nif x:\n→return·1\n```");
    }
}
