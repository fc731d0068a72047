//! Slips of transcription, undone only when the text as it was sent is nowhere in the file.

/// Closing tags of tool calls that models have left at the end of a value.
const LEAKED_TAGS: [&str; 10] = [
    "</parameter>",
    "</invoke>",
    "</function_calls>",
    "</function>",
    "</payload>",
    "</old_string>",
    "</new_string>",
    "</content>",
    "</old>",
    "</new>",
];

/// What separates a line number from its line, in the listings that models have been shown.
const GUTTER_SEPARATORS: [&str; 6] = ["\t", "→", " | ", "| ", "|", ": "];

/// `old` and `new` without line numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WithoutGutter {
    pub(super) old: String,
    pub(super) new: String,
    /// The number that stood before the first line of `old`.
    pub(super) first_line: usize,
}

/// Takes line numbers off, when every line of `old` has the next one. The lines of `new` must all have one or none.
pub(super) fn without_gutter(old: &str, new: &str) -> Option<WithoutGutter> {
    let separator = GUTTER_SEPARATORS.into_iter().find(|separator| strip_gutter(old, separator).is_some())?;
    let (old, numbers) = strip_gutter(old, separator)?;
    let first_line = *numbers.first()?;
    if !numbers.iter().copied().eq((first_line..).take(numbers.len())) {
        return None;
    }
    let has_gutter = |line: &str| split_number(line, separator).is_some();
    let new = if new.lines().any(has_gutter) { strip_gutter(new, separator)?.0 } else { new.to_owned() };
    Some(WithoutGutter { old, new, first_line })
}

fn strip_gutter(text: &str, separator: &str) -> Option<(String, Vec<usize>)> {
    let mut stripped = String::with_capacity(text.len());
    let mut numbers = Vec::new();
    for line in text.split_inclusive('\n') {
        let (number, rest) = split_number(line, separator)?;
        numbers.push(number);
        stripped.push_str(rest);
    }
    Some((stripped, numbers))
}

/// Splits `  12| text`. An empty line may have lost the blank of its separator.
fn split_number<'a>(line: &'a str, separator: &str) -> Option<(usize, &'a str)> {
    let line = line.trim_start_matches(' ');
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = line.split_at(digits);
    let rest = rest.strip_prefix(separator).or_else(|| {
        let rest = rest.strip_prefix(separator.trim_end_matches(' '))?;
        rest.trim().is_empty().then_some(rest)
    })?;
    Some((number.parse().ok()?, rest))
}

/// Takes closing tags of a tool call off the end of `old`, and of `new` if it has them too.
pub(super) fn without_leaked_tags(old: &str, new: &str) -> Option<(String, String)> {
    let stripped = strip_tags(old);
    (stripped.len() < old.len()).then(|| (stripped.to_owned(), strip_tags(new).to_owned()))
}

fn strip_tags(text: &str) -> &str {
    let mut stripped = text;
    while let Some(shorter) = LEAKED_TAGS.iter().find_map(|tag| stripped.trim_end().strip_suffix(tag)) {
        stripped = shorter;
    }
    stripped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_line_numbers_off_when_every_line_has_the_next() {
        let found = without_gutter("  9\tfn a() {\n 10\t}\n", "  9\tfn b() {\n 10\t}\n").expect("gutter");
        let expected = WithoutGutter { old: "fn a() {\n}\n".into(), new: "fn b() {\n}\n".into(), first_line: 9 };
        assert_eq!(found, expected);
        let found = without_gutter("1 | a\n2 |\n3 |   b", "c").expect("gutter");
        assert_eq!((found.old.as_str(), found.new.as_str()), ("a\n\n  b", "c"));
    }

    #[test]
    fn leaves_numbers_that_belong_to_the_text() {
        assert_eq!(without_gutter("80: web\n443: tls", "x"), None);
        assert_eq!(without_gutter("1\ta\nb", "x"), None);
        assert_eq!(without_gutter("1\ta\n2\tb", "1\ta\nx"), None);
    }

    #[test]
    fn takes_closing_tags_off() {
        let stripped = without_leaked_tags("a();</parameter>\n</invoke>\n", "b();</parameter>");
        assert_eq!(stripped, Some(("a();".to_owned(), "b();".to_owned())));
        assert_eq!(without_leaked_tags("<old></old> ok", "x"), None);
    }
}
