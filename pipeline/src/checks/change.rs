//! A changed file as the checks see it: both texts and the lines that are new.

use std::borrow::Cow;
use std::collections::HashSet;

use domain::RepoPath;
use imara_diff::{Algorithm, Diff, InternedInput};

use crate::edits::ChangedFile;
use crate::sheet::Language;
use crate::text;

/// A changed file, decoded and compared.
pub(super) struct Change<'a> {
    pub(super) file: &'a ChangedFile,
    pub(super) language: Option<Language>,
    /// Absent when the file is new or was not text.
    before: Option<Cow<'a, str>>,
    /// Absent when the file is gone or is not text.
    after: Option<Cow<'a, str>>,
    added_line_numbers: Vec<usize>,
}

/// A line that the change brings into the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct AddedLine<'a> {
    /// Counted from 1.
    pub(super) number: u64,
    /// Without its end.
    pub(super) text: &'a str,
}

impl<'a> Change<'a> {
    pub(super) fn new(file: &'a ChangedFile) -> Self {
        let before = file.before.as_deref().and_then(decode);
        let after = file.after.as_deref().filter(|_| file.mode.is_file()).and_then(decode);
        let added_line_numbers =
            after.as_deref().map(|after| new_lines(before.as_deref().unwrap_or_default(), after)).unwrap_or_default();
        Self { file, language: Language::of(&file.path), before, after, added_line_numbers }
    }

    pub(super) fn path(&self) -> &'a RepoPath {
        &self.file.path
    }

    /// The text before the change; absent when there was none.
    pub(super) fn before(&self) -> Option<&str> {
        self.before.as_deref()
    }

    /// The text after the change; absent when there is none.
    pub(super) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// Whether there was no file before.
    pub(super) fn is_new(&self) -> bool {
        self.file.before.is_none()
    }

    /// The lines that are new to the file: a line that only moved is not among them.
    pub(super) fn added_lines(&self) -> impl Iterator<Item = AddedLine<'_>> {
        let mut wanted = self.added_line_numbers.iter().copied().peekable();
        self.after().unwrap_or_default().split('\n').enumerate().filter_map(move |(index, text)| {
            wanted.next_if_eq(&index)?;
            Some(AddedLine { number: index as u64 + 1, text: text.strip_suffix('\r').unwrap_or(text) })
        })
    }
}

fn decode(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if text::is_binary(bytes) { None } else { Some(String::from_utf8_lossy(bytes)) }
}

/// Indices of the lines of `after` that a line diff adds and that `before` has nowhere else.
fn new_lines(before: &str, after: &str) -> Vec<usize> {
    let input = InternedInput::new(before, after);
    let diff = Diff::compute(Algorithm::Histogram, &input);
    let old: HashSet<&str> = before.lines().collect();
    after
        .lines()
        .enumerate()
        .filter(|&(index, line)| {
            let is_added = u32::try_from(index).is_ok_and(|index| diff.is_added(index));
            is_added && !old.contains(line)
        })
        .map(|(index, _)| index)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_new_to_the_file_are_added() {
        assert_eq!(new_lines("a\nb\nc\n", "a\nx\nb\nc\n"), [1]);
        assert_eq!(new_lines("a\nb\nc\n", "c\na\nb\n"), [] as [usize; 0]);
        assert_eq!(new_lines("", "a\nb"), [0, 1]);
        assert_eq!(new_lines("a\r\nb\r\n", "a\r\nb\r\nc\r\n"), [2]);
        assert_eq!(new_lines("a", ""), [] as [usize; 0]);
    }
}
