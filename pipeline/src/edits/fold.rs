//! Characters that look alike, folded to one: how a line reads, not how it is spelt.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::text::is_hidden;

/// A line as it reads: odd blanks, curly quotes and dashes as ASCII, composed characters, nothing hidden, no blanks at
/// the end.
pub(super) fn fold_line(line: &str) -> Cow<'_, str> {
    if line.is_ascii() && !line.chars().any(is_hidden) {
        return Cow::Borrowed(line.trim_end());
    }
    let folded: String = line.chars().filter(|&c| !is_hidden(c)).map(fold_char).collect();
    let composed = if is_nfc(&folded) { folded } else { folded.nfc().collect() };
    Cow::Owned(composed.trim_end().to_owned())
}

/// A character as it reads.
pub(super) fn fold_char(c: char) -> char {
    match c {
        '\u{00A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => ' ',
        '\u{2018}'..='\u{201B}' | '\u{2032}' => '\'',
        '\u{201C}'..='\u{201F}' | '\u{2033}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_what_reads_the_same() {
        assert_eq!(fold_line("let\u{A0}s = \u{201C}it\u{2019}s\u{201D};  "), "let s = \"it's\";");
        assert_eq!(fold_line("a \u{2013} b\u{200B}"), "a - b");
        assert_eq!(fold_line("cafe\u{301}"), "café");
        assert_eq!(fold_line("\tplain\t"), "\tplain");
    }
}
