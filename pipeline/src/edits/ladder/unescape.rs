//! Rung 4: one level of escaping undone, when both texts were escaped the same way.

use super::{Found, MatchRung, Miss, exact};

/// What an escaping writes, and for which character. The escape of the escape comes last.
type Table = [(&'static str, &'static str); 4];

const BACKSLASH: Table = [("\\n", "\n"), ("\\t", "\t"), ("\\\"", "\""), ("\\\\", "\\")];
const HTML: Table = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];

/// The only place of `old` with one level of escaping undone.
pub(super) fn find(file: &str, old: &str, new: &str) -> Result<Found, Miss> {
    for table in [BACKSLASH, HTML] {
        let (old_read, new_read) = (Escaped::read(old, &table), Escaped::read(new, &table));
        // A `new` that goes better with what `old` means than with what it says was not escaped.
        let is_new_plain = shared_edges(new, &old_read.meant) > shared_edges(new, old);
        if is_new_plain || !are_escaped_alike(&old_read, &new_read) {
            continue;
        }
        match exact::find(file, &old_read.meant, &new_read.meant) {
            Err(Miss::Nowhere) => {}
            Err(Miss::Ambiguous { lines, .. }) => return Err(Miss::Ambiguous { rung: MatchRung::Unescape, lines }),
            found => return found.map(|found| Found { rung: MatchRung::Unescape, ..found }),
        }
    }
    Err(Miss::Nowhere)
}

/// A text read as if it were escaped.
struct Escaped {
    /// With one level undone.
    meant: String,
    /// Which escapes of the table it has.
    has_escape: [bool; 4],
    /// Which of the characters they stand for it has as they are.
    has_raw: [bool; 4],
}

impl Escaped {
    fn read(text: &str, table: &Table) -> Self {
        let mut read = Self { meant: String::with_capacity(text.len()), has_escape: [false; 4], has_raw: [false; 4] };
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some(index) = table.iter().position(|(escape, _)| rest.starts_with(escape)) {
                let (escape, raw) = table[index];
                read.has_escape[index] = true;
                read.meant.push_str(raw);
                rest = &rest[escape.len()..];
            } else {
                let (this, tail) = rest.split_at(c.len_utf8());
                if let Some(index) = table.iter().position(|(_, raw)| *raw == this) {
                    read.has_raw[index] = true;
                }
                read.meant.push_str(this);
                rest = tail;
            }
        }
        read
    }
}

/// Whether both texts went through the same escaping. What one has escaped, neither has as it is, and `new` has no
/// escape that `old` does not show: that one may be meant. A doubled backslash alone shows nothing, for code has many.
fn are_escaped_alike(old: &Escaped, new: &Escaped) -> bool {
    let [shown @ .., _] = old.has_escape;
    let [shown_by_new @ .., doubled_in_new] = new.has_escape;
    let is_mixed = (0..4).any(|index| {
        let is_used = old.has_escape[index];
        (is_used && (old.has_raw[index] || new.has_raw[index])) || (!is_used && new.has_escape[index])
    });
    shown.contains(&true) && !is_mixed && (!doubled_in_new || shown_by_new.contains(&true))
}

/// How many bytes two texts have in common at their start and their end.
fn shared_edges(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y).count();
    head + tail
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
        assert_eq!(
            replace("a < b && c\n", "a &lt; b &amp;&amp; c", "a &lt; b &amp;&amp; d"),
            Ok("a < b && d\n".to_owned())
        );
    }

    #[test]
    fn leaves_texts_alone_that_are_not_escaped_alike() {
        assert_eq!(replace("a < b\n", "a &lt; b", "a <= b"), Err(Miss::Nowhere));
        assert_eq!(replace("x\ny\n", "x\\ny", "x\nz"), Err(Miss::Nowhere));
        assert_eq!(replace("say(\"a\")\n", "say(\\\"a\\\")", "say(\\\"a\\n\\\")"), Err(Miss::Nowhere));
    }
}
