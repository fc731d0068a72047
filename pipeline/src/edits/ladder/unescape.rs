//! Rung 4: one level of escaping undone, when both texts were escaped the same way.

use super::{Found, MatchRung, Miss, exact};

/// What an escaping writes, and for which character.
type Table = &'static [(&'static str, &'static str)];

const BACKSLASH: Table = &[("\\n", "\n"), ("\\t", "\t"), ("\\\"", "\""), ("\\\\", "\\")];
const HTML: Table = &[("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];

/// The only place of `old` with one level of escaping undone.
pub(super) fn find(file: &str, old: &str, new: &str) -> Result<Found, Miss> {
    for table in [BACKSLASH, HTML] {
        let (used, unused): (Vec<_>, Vec<_>) = table.iter().copied().partition(|(escaped, _)| old.contains(escaped));
        // A text that also holds the character itself was not escaped by a machine: the sequence is meant. So may be
        // a sequence that only `new` has.
        let is_mixed = used.iter().any(|(_, raw)| has_raw(old, raw, table) || has_raw(new, raw, table))
            || unused.iter().any(|(escaped, _)| new.contains(escaped));
        if used.is_empty() || is_mixed {
            continue;
        }
        match exact::find(file, &unescape(old, &used), &unescape(new, &used)) {
            Err(Miss::Nowhere) => {}
            Err(Miss::Ambiguous { lines, .. }) => return Err(Miss::Ambiguous { rung: MatchRung::Unescape, lines }),
            found => return found.map(|found| Found { rung: MatchRung::Unescape, ..found }),
        }
    }
    Err(Miss::Nowhere)
}

/// Whether `raw` is in the text other than as a part of an escape.
fn has_raw(text: &str, raw: &str, table: Table) -> bool {
    let mut rest = text.to_owned();
    for (escaped, _) in table.iter().rev() {
        rest = rest.replace(escaped, "");
    }
    rest.contains(raw)
}

/// Undoes the escapes in one pass, so that what an escape gives is not read as another.
fn unescape(text: &str, used: &[(&str, &str)]) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((escaped, raw)) = used.iter().find(|(escaped, _)| rest.starts_with(escaped)) {
            result.push_str(raw);
            rest = &rest[escaped.len()..];
        } else {
            result.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::splice;
    use super::*;

    fn replace(file: &str, old: &str, new: &str) -> Result<String, Miss> {
        find(file, old, new).map(|found| splice(file, &found.splices))
    }

    #[test]
    fn undoes_one_level_when_both_texts_show_it() {
        let file = "fn a() {\n\tprint(\"x\");\n}\n";
        let (old, new) = ("fn a() {\\n\\tprint(\\\"x\\\");\\n}", "fn a() {\\n\\tprint(\\\"y\\\");\\n}");
        assert_eq!(replace(file, old, new), Ok("fn a() {\n\tprint(\"y\");\n}\n".to_owned()));
        assert_eq!(replace("a < b && c\n", "a &lt; b &amp;&amp; c", "c &amp;&amp; a"), Ok("c && a\n".to_owned()));
    }

    #[test]
    fn leaves_texts_alone_that_are_not_escaped_alike() {
        assert_eq!(replace("a < b\n", "a &lt; b", "a <= b"), Err(Miss::Nowhere));
        assert_eq!(replace("x\ny\n", "x\\ny", "x\nz"), Err(Miss::Nowhere));
        assert_eq!(replace("say(\"a\")\n", "say(\\\"a\\\")", "say(\\\"a\\n\\\")"), Err(Miss::Nowhere));
    }
}
