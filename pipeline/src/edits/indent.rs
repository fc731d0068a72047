//! One change of indentation for a whole block.

use std::borrow::Cow;

/// How the indentation of a block in the file differs from the one the model wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shift {
    /// Not at all.
    None,
    /// The file has this much more.
    Added(String),
    /// The file has this much less.
    Removed(String),
    /// The file has a tab where the model wrote this many spaces.
    SpacesToTabs(usize),
    /// The file has this many spaces where the model wrote a tab.
    TabsToSpaces(usize),
}

impl Shift {
    /// The one shift that turns every line of `old` that is not blank into its line of `file`.
    pub(super) fn between(old: &[Cow<'_, str>], file: &[Cow<'_, str>]) -> Option<Self> {
        let differs = old.iter().zip(file).find(|(old, file)| old != file && !old.is_empty())?;
        let (old_indent, file_indent) = (indent(differs.0), indent(differs.1));
        let candidate = if let Some(more) = file_indent.strip_suffix(old_indent) {
            Self::Added(more.to_owned())
        } else if let Some(less) = old_indent.strip_suffix(file_indent) {
            Self::Removed(less.to_owned())
        } else if old_indent.starts_with(' ') {
            Self::SpacesToTabs(old_indent.len() / count_tabs(file_indent)?)
        } else {
            Self::TabsToSpaces(file_indent.len() / count_tabs(old_indent)?)
        };
        let fits = |(old, file): (&Cow<'_, str>, &Cow<'_, str>)| match (old.is_empty(), file.is_empty()) {
            (true, true) => true,
            (false, false) => candidate.shift(old).as_deref() == Some(&**file),
            _ => false,
        };
        old.iter().zip(file).all(fits).then_some(candidate)
    }

    /// Shifts the model's texts to where the file has the block.
    ///
    /// `None` when `new` is not written in the same indentation as `old`: then the slip is in `old` alone, and a shift
    /// would bring it into `new`.
    pub(super) fn apply(&self, old: &[&str], new: &[&str]) -> Option<(Vec<String>, Vec<String>)> {
        if *self != Self::None && !is_written_alike(old, new) {
            return None;
        }
        let shift = |lines: &[&str]| lines.iter().map(|line| self.shift(line)).collect::<Option<Vec<_>>>();
        Some((shift(old)?, shift(new)?))
    }

    fn shift(&self, line: &str) -> Option<String> {
        if line.trim().is_empty() {
            return Some(line.to_owned());
        }
        let (indent, text) = line.split_at(indent(line).len());
        match self {
            Self::None => Some(line.to_owned()),
            Self::Added(more) => Some(format!("{more}{line}")),
            Self::Removed(less) => line.strip_prefix(less.as_str()).map(str::to_owned),
            Self::SpacesToTabs(0) | Self::TabsToSpaces(0) => None,
            Self::SpacesToTabs(width) => {
                let spaces = indent.len() - indent.trim_start_matches(' ').len();
                let rest = &indent[spaces..];
                Some(format!("{}{}{rest}{text}", "\t".repeat(spaces / width), " ".repeat(spaces % width)))
            }
            Self::TabsToSpaces(width) => Some(format!("{}{text}", indent.replace('\t', &" ".repeat(*width)))),
        }
    }
}

/// Whether both texts start at the same indentation, and share it wherever a line is in each of them equally often.
fn is_written_alike(old: &[&str], new: &[&str]) -> bool {
    let (old, new) = (indents(old), indents(new));
    let Some((first, _)) = new.first() else { return true };
    let starts_alike = old.first().is_some_and(|(old_first, _)| old_first == first);
    starts_alike
        && new.iter().all(|(_, text)| {
            let (before, after) = (indents_of(&old, text), indents_of(&new, text));
            before.len() != after.len() || before == after
        })
}

/// The lines that are not blank, split after their indentation.
fn indents<'a>(lines: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let lines = lines.iter().filter(|line| !line.trim().is_empty());
    lines.map(|line| (indent(line), line.trim())).collect()
}

/// The indentations of the lines with this text, in order.
fn indents_of<'a>(lines: &[(&'a str, &'a str)], text: &str) -> Vec<&'a str> {
    lines.iter().filter(|(_, line)| *line == text).map(|(indent, _)| *indent).collect()
}

fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// The number of tabs of an indentation that is nothing but tabs, of which there is at least one.
fn count_tabs(indent: &str) -> Option<usize> {
    (!indent.is_empty() && indent.bytes().all(|byte| byte == b'\t')).then_some(indent.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(old: &[&str], file: &[&str]) -> Option<Shift> {
        let cow = |lines: &[&str]| lines.iter().map(|line| Cow::Owned((*line).to_owned())).collect::<Vec<_>>();
        Shift::between(&cow(old), &cow(file))
    }

    #[test]
    fn finds_the_one_shift_of_a_block() {
        assert_eq!(between(&["a", "", "  b"], &["    a", "", "      b"]), Some(Shift::Added("    ".to_owned())));
        assert_eq!(between(&["\t\ta", "\tb"], &["\ta", "b"]), Some(Shift::Removed("\t".to_owned())));
        assert_eq!(between(&["a", "    b", "        c"], &["a", "\tb", "\t\tc"]), Some(Shift::SpacesToTabs(4)));
        assert_eq!(between(&["\ta", "\t\tb"], &["  a", "    b"]), Some(Shift::TabsToSpaces(2)));
    }

    #[test]
    fn refuses_shifts_that_differ_from_line_to_line() {
        assert_eq!(between(&["a", "b"], &["  a", "    b"]), None);
        assert_eq!(between(&["    a", "      b"], &["\ta", "\t\tb"]), None);
        assert_eq!(between(&["a", "b"], &["  a", ""]), None);
    }

    #[test]
    fn a_slip_in_old_alone_is_not_carried_into_new() {
        let shift = Shift::Removed("    ".to_owned());
        assert_eq!(shift.apply(&["        a();"], &["    b();"]), None);
        let both = shift.apply(&["        a();"], &["        b();"]).expect("alike");
        assert_eq!(both, (vec!["    a();".to_owned()], vec!["    b();".to_owned()]));
    }
}
