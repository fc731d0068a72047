//! How many tokens a text has, without a tokenizer.
//!
//! No tokenizer of the current models is public. A linear count over classes of bytes is within 9 % of one on every
//! repository it was fitted against, where `bytes / 4` is 36 % off, and it reads hundreds of megabytes a second.
//! [`Calibration`](super::Calibration) corrects what is left by what the service bills.

use serde::{Deserialize, Serialize};

/// What a text is mostly made of; each kind has its own factor between the fitted vocabulary and the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TextKind {
    /// Program text, and the sheet's own frame of tags and paths.
    Code,
    /// Natural language.
    Prose,
    /// JSON, YAML, tables and other values.
    Data,
}

impl TextKind {
    /// Tokens of the current vocabulary per 100 tokens of the vocabulary the coefficients were fitted to.
    fn percent(self) -> u64 {
        match self {
            Self::Code => 120,
            Self::Prose => 145,
            Self::Data => 105,
        }
    }
}

/// Estimated tokens of a document, by kind of text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCounts {
    /// In program text.
    pub code: u64,
    /// In natural language.
    pub prose: u64,
    /// In values.
    pub data: u64,
}

impl TokenCounts {
    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.code + self.prose + self.data
    }

    pub(crate) fn add(&mut self, kind: TextKind, tokens: u64) {
        match kind {
            TextKind::Code => self.code += tokens,
            TextKind::Prose => self.prose += tokens,
            TextKind::Data => self.data += tokens,
        }
    }
}

/// The estimated number of tokens of `text`, rounded up. A longer text never has fewer.
pub(crate) fn estimate_tokens(text: &str, kind: TextKind) -> u64 {
    let mut milli_tokens = 0_u64;
    let mut previous = Class::Blank;
    let mut part_letters = 0_u32;
    // Without branches: the next byte of a program cannot be predicted.
    for &byte in text.as_bytes() {
        let class = CLASSES[usize::from(byte)];
        let cost = COSTS[previous as usize * CLASS_COUNT + class as usize];
        // A letter that costs nothing continues its part of a word; any other starts one.
        part_letters = (part_letters * u32::from(cost == 0) + 1) * u32::from(class.is_letter());
        // Letters 10, 14, 18 and so on: one more piece for each four beyond six.
        let is_piece = part_letters >= 10 && part_letters % 4 == 2;
        milli_tokens += u64::from(cost) + u64::from(is_piece) * LONG_PART;
        previous = class;
    }
    (milli_tokens * kind.percent()).div_ceil(100_000)
}

/// A bound for text that was not read: 1.8 bytes per token, denser than any mix of files that was measured. (A file of
/// nothing but digits can be denser.)
pub(crate) fn upper_bound_tokens(bytes: u64) -> u64 {
    bytes.saturating_mul(10).div_ceil(18)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    Lower,
    Upper,
    Digit,
    Punctuation,
    Newline,
    Blank,
    Other,
    /// Of no byte; a power of two makes the table's index a shift.
    Unused,
}

const CLASS_COUNT: usize = 8;

impl Class {
    const ALL: [Self; CLASS_COUNT] = [
        Self::Lower,
        Self::Upper,
        Self::Digit,
        Self::Punctuation,
        Self::Newline,
        Self::Blank,
        Self::Other,
        Self::Unused,
    ];

    const fn of(byte: u8) -> Self {
        match byte {
            b'a'..=b'z' => Self::Lower,
            b'A'..=b'Z' => Self::Upper,
            b'0'..=b'9' => Self::Digit,
            b'\n' => Self::Newline,
            b' ' | b'\t' | b'\r' => Self::Blank,
            0x21..=0x7e => Self::Punctuation,
            _ => Self::Other,
        }
    }

    const fn is_letter(self) -> bool {
        matches!(self, Self::Lower | Self::Upper)
    }

    /// Thousandths of a token that a byte of this class costs after one of `previous`.
    const fn cost_after(self, previous: Self) -> u32 {
        match (previous, self) {
            (Self::Lower, Self::Upper) => CAMEL_HUMP,
            (Self::Lower | Self::Upper, Self::Lower | Self::Upper) => 0,
            (_, Self::Lower | Self::Upper) => WORD_START,
            (_, Self::Digit) => DIGIT,
            (_, Self::Punctuation) => PUNCTUATION,
            (_, Self::Newline) => NEWLINE,
            (Self::Blank, Self::Blank) => BLANK_AFTER_BLANK,
            (_, Self::Blank | Self::Unused) => 0,
            (_, Self::Other) => NON_ASCII,
        }
    }
}

// Thousandths of a token, fitted to 27,053 files of 14 repositories.
const WORD_START: u32 = 1365;
const CAMEL_HUMP: u32 = 2318;
const LONG_PART: u64 = 198;
const PUNCTUATION: u32 = 674;
const DIGIT: u32 = 651;
const NEWLINE: u32 = 536;
const BLANK_AFTER_BLANK: u32 = 103;
const NON_ASCII: u32 = 529;

/// [`Class::of`] every byte: a look-up is several times faster than the comparisons.
static CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0_u8;
    loop {
        classes[byte as usize] = Class::of(byte);
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

/// [`Class::cost_after`] for every pair, the previous class first.
static COSTS: [u32; CLASS_COUNT * CLASS_COUNT] = {
    let mut costs = [0; CLASS_COUNT * CLASS_COUNT];
    let mut previous = 0;
    while previous < CLASS_COUNT {
        let mut class = 0;
        while class < CLASS_COUNT {
            costs[previous * CLASS_COUNT + class] = Class::ALL[class].cost_after(Class::ALL[previous]);
            class += 1;
        }
        previous += 1;
    }
    costs
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_counts_by_hand() {
        let milli = |text: &str| estimate_tokens(&text.repeat(1000), TextKind::Code);
        // 2 words, 4 punctuation marks, 1 newline: 2·1.365 + 4·0.674 + 0.536 = 5.962; ·1.20 = 7.1544 each.
        assert_eq!(milli("fn main() {}\n"), 7155);
        // 1 word, 1 hump, then 10 letters in the second part (one piece more), newline.
        assert_eq!(milli("getConnections\n"), (1365 + 2318 + 198 + 536) * 12 / 10 + 1);
        // 3 digits, 3 blanks of which 2 follow a blank, 2 bytes beyond ASCII, newline.
        assert_eq!(milli("123   é\n"), (3 * 651 + 2 * 103 + 2 * 529 + 536_u64) * 12 / 10 + 1);
    }

    #[test]
    fn a_longer_text_never_has_fewer_tokens() {
        let text = include_str!("tokens.rs");
        let mut last = 0;
        for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)).step_by(7) {
            let tokens = estimate_tokens(&text[..end], TextKind::Code);
            assert!(tokens >= last, "{end}");
            last = tokens;
        }
    }

    #[test]
    fn ordinary_code_lies_between_the_crude_bounds() {
        for text in [include_str!("tokens.rs"), include_str!("document.rs"), include_str!("../repo/snapshot.rs")] {
            let tokens = estimate_tokens(text, TextKind::Code);
            let bytes = text.len() as u64;
            assert!(tokens > bytes / 4, "{tokens} of {bytes}");
            assert!(tokens < upper_bound_tokens(bytes), "{tokens} of {bytes}");
        }
    }

    #[test]
    fn prose_has_more_tokens_than_code_and_data_fewer() {
        let text = "The quick brown fox jumps over the lazy dog.\n".repeat(50);
        let of = |kind| estimate_tokens(&text, kind);
        assert!(of(TextKind::Prose) > of(TextKind::Code) && of(TextKind::Code) > of(TextKind::Data));
        assert_eq!(estimate_tokens("", TextKind::Prose), 0);
        assert_eq!(upper_bound_tokens(18), 10);
        assert_eq!(upper_bound_tokens(1), 1);
    }
}
