//! A file as the model sees it, and the way back to the file's own bytes.
//!
//! The model sees UTF-8 with LF line ends and no byte order mark. What that hides is remembered beside the shown text:
//! each line's own end, the mark, and every byte that is not UTF-8. [`FileText::rewrite`] takes the shown text as the
//! model left it and gives bytes in which every line the model did not touch is the line the file had, byte for byte.

mod escape;
mod hidden;
pub(crate) mod line_diff;

use std::ops::Range;

use escape::Escapes;
pub(crate) use hidden::is_hidden;

/// How many leading bytes decide whether a file is binary: Git looks at as many.
const BINARY_CHECK_BYTES: usize = 8_000;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Whether Git takes these bytes for a binary file: a NUL near the start.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(BINARY_CHECK_BYTES)].contains(&0)
}

/// Splits shown text into lines without their line ends; a final line end closes a line and opens none.
pub(crate) fn lines(shown: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = shown.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    lines
}

/// Brings a text of the model into the form files are shown in: LF line ends, no byte order mark.
pub(crate) fn as_shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(content) => {
                shown.push_str(content.trim_end_matches('\r'));
                shown.push('\n');
            }
            None => shown.push_str(line),
        }
    }
    shown
}

/// Bytes that cannot be shown as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotText {
    /// See [`is_binary`].
    #[error("the file is binary")]
    Binary,
}

/// A text that would write bytes the model cannot write: the shown form of a byte that is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} writes a byte that is not UTF-8")]
pub(crate) struct EscapeWritten {
    /// Line of the rewritten text, from 1.
    pub(crate) line: usize,
}

/// A text file, decoded.
#[derive(Debug, Clone)]
pub(crate) struct FileText {
    has_byte_order_mark: bool,
    shown: String,
    /// One per line of `shown`.
    ends: Vec<LineEnd>,
    escapes: Escapes,
}

/// How a line of the file ends. A lone CR ends no line; it is a character like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Lf,
    CrLf,
    /// The last line of a file without a final newline.
    Missing,
}

impl LineEnd {
    fn bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
            Self::Missing => b"",
        }
    }
}

impl FileText {
    /// Decodes a file.
    ///
    /// # Errors
    /// [`NotText`] when the bytes cannot be shown.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, NotText> {
        if is_binary(bytes) {
            return Err(NotText::Binary);
        }
        let body = bytes.strip_prefix(BYTE_ORDER_MARK);
        if let Some(plain) = plain_text(body.unwrap_or(bytes)) {
            return Ok(Self::plain(plain, body.is_some()));
        }
        let mut text = Self {
            has_byte_order_mark: body.is_some(),
            shown: String::with_capacity(bytes.len()),
            ends: Vec::new(),
            escapes: Escapes::default(),
        };
        for line in body.unwrap_or(bytes).split_inclusive(|&byte| byte == b'\n') {
            let (content, end) = split_end(line);
            text.escapes.show(content, &mut text.shown);
            if end != LineEnd::Missing {
                text.shown.push('\n');
            }
            text.ends.push(end);
        }
        Ok(text)
    }

    /// A file that is shown as it is, which most are.
    fn plain(text: &str, has_byte_order_mark: bool) -> Self {
        let mut ends = vec![LineEnd::Lf; text.bytes().filter(|&byte| byte == b'\n').count()];
        if !text.is_empty() && !text.ends_with('\n') {
            ends.push(LineEnd::Missing);
        }
        Self { has_byte_order_mark, shown: text.to_owned(), ends, escapes: Escapes::default() }
    }

    /// The text the model sees.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// How many characters of the file a reader cannot see, or that reorder what is seen.
    pub(crate) fn hidden_characters(&self) -> usize {
        if self.shown.is_ascii() {
            let is_layout = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C);
            return self.shown.bytes().filter(|&byte| byte.is_ascii_control() && !is_layout(byte)).count();
        }
        self.shown.chars().filter(|&c| is_hidden(c)).count()
    }

    /// The bytes of the file after the model changed what it sees to `shown`.
    ///
    /// A line that is still there keeps its bytes. A line in place of another takes that line's end, a new line the end
    /// of the line before it. The byte order mark stays. A byte that is not UTF-8 may stay or go, but the model cannot
    /// write one: it only ever saw the byte's name.
    ///
    /// # Errors
    /// [`EscapeWritten`] when changed text holds such a name.
    pub(crate) fn rewrite(&self, shown: &str) -> Result<Vec<u8>, EscapeWritten> {
        let before = lines(&self.shown);
        let after = lines(shown);
        let origins = origins(&before, &after);
        let starts = line_starts(&before);

        let mut bytes = Vec::with_capacity(shown.len() + BYTE_ORDER_MARK.len());
        if self.has_byte_order_mark {
            bytes.extend_from_slice(BYTE_ORDER_MARK);
        }
        // An end for the lines before any line that has its own: that of the file's first line.
        let mut end = self.ends.first().copied().filter(|&end| end != LineEnd::Missing).unwrap_or(LineEnd::Lf);
        for (index, (&line, origin)) in after.iter().zip(origins).enumerate() {
            match origin {
                Some(old) => {
                    let place = starts[old]..starts[old] + before[old].len();
                    let content = self.escapes.carry_over(&self.shown, place, line);
                    bytes.extend(content.ok_or(EscapeWritten { line: index + 1 })?);
                    end = if self.ends[old] == LineEnd::Missing { end } else { self.ends[old] };
                }
                None if self.escapes.are_named_in(line) => return Err(EscapeWritten { line: index + 1 }),
                None => bytes.extend_from_slice(line.as_bytes()),
            }
            if index + 1 < after.len() || shown.ends_with('\n') {
                bytes.extend_from_slice(end.bytes());
            }
        }
        Ok(bytes)
    }
}

/// Bytes whose shown form is themselves: UTF-8 with nothing to hide or to name.
fn plain_text(bytes: &[u8]) -> Option<&str> {
    let has_other_ends = bytes.contains(&b'\r') || bytes.contains(&0);
    std::str::from_utf8(bytes).ok().filter(|_| !has_other_ends)
}

fn split_end(line: &[u8]) -> (&[u8], LineEnd) {
    if let Some(content) = line.strip_suffix(b"\r\n") {
        (content, LineEnd::CrLf)
    } else if let Some(content) = line.strip_suffix(b"\n") {
        (content, LineEnd::Lf)
    } else {
        (line, LineEnd::Missing)
    }
}

/// For each line after the change, the line before it that it is or that it replaces.
fn origins(before: &[&str], after: &[&str]) -> Vec<Option<usize>> {
    let mut origins = Vec::with_capacity(after.len());
    let mut old = 0;
    for hunk in line_diff::hunks(before, after) {
        origins.extend((old..hunk.before.start).map(Some));
        let Range { start, end } = hunk.before;
        origins.extend((0..hunk.after.len()).map(|nth| Some(start + nth).filter(|&line| line < end)));
        old = end;
    }
    origins.extend((old..before.len()).map(Some));
    origins
}

/// The offset of each line in the text they were split from.
pub(crate) fn line_starts(lines: &[&str]) -> Vec<usize> {
    let mut next = 0;
    lines
        .iter()
        .map(|line| {
            let start = next;
            next += line.len() + 1;
            start
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite(file: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
        let text = FileText::decode(file).expect("text");
        text.rewrite(&change(text.shown())).expect("no escape is written")
    }

    #[test]
    fn shows_lf_and_keeps_each_lines_own_end() {
        let file = b"one\r\ntwo\nthree\r\nfour";
        assert_eq!(FileText::decode(file).expect("text").shown(), "one\ntwo\nthree\nfour");
        assert_eq!(rewrite(file, str::to_owned), file);
        assert_eq!(rewrite(file, |t| t.replace("three", "3")), b"one\r\ntwo\n3\r\nfour");
        assert_eq!(rewrite(file, |t| t.replace("one\n", "one\nnew\n")), b"one\r\nnew\r\ntwo\nthree\r\nfour");
        assert_eq!(rewrite(file, |t| t.replace("two\n", "two\nnew\n")), b"one\r\ntwo\nnew\nthree\r\nfour");
        assert_eq!(rewrite(file, |t| format!("zero\n{t}")), b"zero\r\none\r\ntwo\nthree\r\nfour");
    }

    #[test]
    fn keeps_a_missing_final_newline_unless_the_text_ends_otherwise() {
        assert_eq!(rewrite(b"a\r\nb", |t| t.replace('a', "x")), b"x\r\nb");
        assert_eq!(rewrite(b"a\r\nb", |t| format!("{t}\nc")), b"a\r\nb\r\nc");
        assert_eq!(rewrite(b"a\r\nb", |t| format!("{t}\n")), b"a\r\nb\r\n");
        assert_eq!(rewrite(b"a\nb\n", |t| t.trim_end().to_owned()), b"a\nb");
        assert_eq!(rewrite(b"", |_| "new\n".to_owned()), b"new\n");
        assert_eq!(rewrite(b"gone\n", |_| String::new()), b"");
    }

    #[test]
    fn hides_the_byte_order_mark_and_puts_it_back() {
        let file = b"\xEF\xBB\xBFusing System;\r\n";
        assert_eq!(FileText::decode(file).expect("text").shown(), "using System;\n");
        assert_eq!(rewrite(file, |t| t.replace("System", "Other")), b"\xEF\xBB\xBFusing Other;\r\n");
    }

    #[test]
    fn a_lone_carriage_return_ends_no_line() {
        let file = b"old mac\rstill line one\r\r\nline two\n";
        let text = FileText::decode(file).expect("text");
        assert_eq!(lines(text.shown()), ["old mac\rstill line one\r", "line two"]);
        assert_eq!(rewrite(file, |t| t.replace("two", "2")), b"old mac\rstill line one\r\r\nline 2\n");
    }

    #[test]
    fn bytes_that_are_not_utf8_stay_when_their_line_changes_around_them() {
        let file = b"name = caf\xE9 # 1\nx\n";
        assert_eq!(FileText::decode(file).expect("text").shown(), "name = caf\u{FFFD}E9 # 1\nx\n");
        assert_eq!(rewrite(file, |t| t.replace("# 1", "# 2")), b"name = caf\xE9 # 2\nx\n");
        assert_eq!(rewrite(file, |t| t.replace("name", "title")), b"title = caf\xE9 # 1\nx\n");
        assert_eq!(rewrite(file, |t| t.replace("x\n", "")), b"name = caf\xE9 # 1\n");
        assert_eq!(rewrite(file, |t| t.replace("name = caf\u{FFFD}E9 # 1\n", "")), b"x\n");
    }

    #[test]
    fn bytes_that_are_not_utf8_cannot_be_written() {
        let text = FileText::decode(b"caf\xE9\nx\n").expect("text");
        for shown in ["caf\u{FFFD}E8\nx\n", "caf\u{FFFD}E9\nx\ncaf\u{FFFD}E9\n", "caf\u{FFFD}E9\n\u{FFFD}FF\n"] {
            assert!(text.rewrite(shown).is_err(), "{shown}");
        }
    }

    #[test]
    fn a_replacement_character_of_the_file_itself_is_text() {
        let file = "was \u{FFFD}E9 already\nx\n".as_bytes();
        assert_eq!(rewrite(file, |t| t.replace("already", "before")), "was \u{FFFD}E9 before\nx\n".as_bytes());
    }

    #[test]
    fn a_nul_near_the_start_makes_a_file_binary() {
        assert_eq!(FileText::decode(b"\x89PNG\0").expect_err("binary"), NotText::Binary);
        let late: Vec<u8> = [vec![b'a'; BINARY_CHECK_BYTES], b"\0\n".to_vec()].concat();
        assert!(FileText::decode(&late).expect("text").shown().ends_with("a\u{FFFD}00\n"));
        assert_eq!(rewrite(&late, str::to_owned), late);
    }

    #[test]
    fn counts_what_a_reader_cannot_see() {
        let text = FileText::decode("a\u{200B}b\u{202E}c\u{00AD}\td\n".as_bytes()).expect("text");
        assert_eq!(text.hidden_characters(), 3);
    }

    #[test]
    fn the_models_line_ends_become_those_that_are_shown() {
        assert_eq!(as_shown("\u{FEFF}a\r\nb\r\r\nc\rd\r"), "a\nb\nc\rd\r");
    }
}
