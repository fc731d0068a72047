//! Bytes that are not UTF-8, shown by name.
//!
//! Byte E9 is shown as `�E9`: the replacement character, which a reader knows, and two digits. The names are only for
//! reading. What a byte is and where it stands is remembered beside the text, so a file that holds `�E9` as ordinary
//! characters is not mistaken for one that holds the byte.

use std::fmt::Write;
use std::ops::Range;

/// Length of a name in UTF-8: the replacement character and two digits.
const NAME_BYTES: usize = '\u{FFFD}'.len_utf8() + 2;

/// The bytes of one file that are not UTF-8, in the order of their places.
#[derive(Debug, Clone, Default)]
pub(super) struct Escapes(Vec<Escape>);

#[derive(Debug, Clone, Copy)]
struct Escape {
    /// Offset of the name in the shown text.
    at: usize,
    byte: u8,
}

impl Escapes {
    /// Appends `bytes` to `shown`. A NUL is shown by name too: neither JSON stores nor terminals take it.
    pub(super) fn show(&mut self, bytes: &[u8], shown: &mut String) {
        for chunk in bytes.utf8_chunks() {
            for (nth, part) in chunk.valid().split('\0').enumerate() {
                if nth > 0 {
                    self.push(0, shown);
                }
                shown.push_str(part);
            }
            for &byte in chunk.invalid() {
                self.push(byte, shown);
            }
        }
    }

    fn push(&mut self, byte: u8, shown: &mut String) {
        self.0.push(Escape { at: shown.len(), byte });
        // Writing to a string cannot fail.
        let _ = write!(shown, "\u{FFFD}{byte:02X}");
    }

    /// The bytes of `line`, which stands in for the line of `shown` at `place`. The bytes behind the names at the
    /// common start and end of the two are those of the file; any other name makes it `None`.
    pub(super) fn carry_over(&self, shown: &str, place: Range<usize>, line: &str) -> Option<Vec<u8>> {
        let old = &shown[place.clone()];
        let here = self.within(&place);
        if here.is_empty() {
            return (!self.are_named_in(line) || line == old).then(|| line.as_bytes().to_vec());
        }
        let head = common_prefix(old, line);
        let tail = common_suffix(&old[head..], &line[head..]);
        let mut bytes = Vec::with_capacity(line.len());
        let mut copied = 0;
        for escape in here {
            let at = escape.at - place.start;
            let new_at = if at + NAME_BYTES <= head {
                at
            } else if at >= old.len() - tail {
                line.len() - (old.len() - at)
            } else {
                continue;
            };
            if self.are_named_in_changed(line, copied..new_at, head, tail) {
                return None;
            }
            bytes.extend_from_slice(&line.as_bytes()[copied..new_at]);
            bytes.push(escape.byte);
            copied = new_at + NAME_BYTES;
        }
        if self.are_named_in_changed(line, copied..line.len(), head, tail) {
            return None;
        }
        bytes.extend_from_slice(&line.as_bytes()[copied..]);
        Some(bytes)
    }

    /// Whether new text names a byte. In a file that has none, such a name is only text.
    pub(super) fn are_named_in(&self, text: &str) -> bool {
        !self.0.is_empty() && names(text).next().is_some()
    }

    /// Whether a name in `part` of `line` reaches outside the `head` and the `tail` that were there before.
    fn are_named_in_changed(&self, line: &str, part: Range<usize>, head: usize, tail: usize) -> bool {
        !self.0.is_empty()
            && names(&line[part.clone()])
                .map(|at| part.start + at)
                .any(|at| at + NAME_BYTES > head && at < line.len() - tail)
    }

    fn within(&self, place: &Range<usize>) -> &[Escape] {
        let first = self.0.partition_point(|escape| escape.at < place.start);
        let last = self.0.partition_point(|escape| escape.at < place.end);
        &self.0[first..last]
    }
}

/// The offsets of what reads like the name of a byte.
fn names(text: &str) -> impl Iterator<Item = usize> {
    text.match_indices('\u{FFFD}').map(|(at, _)| at).filter(|at| {
        let digits = text.as_bytes().get(at + NAME_BYTES - 2..at + NAME_BYTES);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn common_prefix(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(x, y)| x == y).map(|(x, _)| x.len_utf8()).sum()
}

fn common_suffix(a: &str, b: &str) -> usize {
    a.chars().rev().zip(b.chars().rev()).take_while(|(x, y)| x == y).map(|(x, _)| x.len_utf8()).sum()
}
