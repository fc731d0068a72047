//! The slips: what models have been seen to do to the text of an edit.

use super::{Dice, GoodEdit};

/// One kind of slip.
pub(super) struct Slip {
    pub(super) name: &'static str,
    /// `old` and `new` with the slip; `None` where the edit gives no occasion for it.
    pub(super) spoil: fn(&GoodEdit, &mut Dice) -> Option<(String, String)>,
    pub(super) spelling: Spelling,
}

/// Whose spelling a slip changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Not that of new lines: the result must be exact.
    AsMeant,
    /// That of new lines too, which the model may choose.
    OfNewToo,
}

const fn slip(name: &'static str, spoil: fn(&GoodEdit, &mut Dice) -> Option<(String, String)>) -> Slip {
    Slip { name, spoil, spelling: Spelling::AsMeant }
}

const fn respelling(name: &'static str, spoil: fn(&GoodEdit, &mut Dice) -> Option<(String, String)>) -> Slip {
    Slip { name, spoil, spelling: Spelling::OfNewToo }
}

pub(super) const SLIPS: [Slip; 30] = [
    slip("none", |edit, _| Some((edit.old.clone(), edit.new.clone()))),
    slip("final newline on both", |edit, _| Some((format!("{}\n", edit.old), format!("{}\n", edit.new)))),
    slip("trailing blanks in old", |edit, dice| {
        old_only(edit, |old| spoil_a_line(old, dice, |line| format!("{line}  ")))
    }),
    respelling("trailing blanks in both", |edit, _| both(edit, |text| each_line(text, |line| format!("{line} ")))),
    slip("blank line before and after", |edit, _| both(edit, |text| format!("\n{text}\n\n"))),
    slip("tabs shown as spaces", |edit, _| both(edit, |text| each_line(text, |line| line.replace('\t', "    ")))),
    slip("spaces shown as tabs", |edit, _| both(edit, |text| each_line(text, |line| line.replace("    ", "\t")))),
    slip("indented more", |edit, _| both(edit, |text| each_line(text, |line| indented(line, "    ")))),
    slip("indented less", |edit, _| both_or_none(edit, |text| each_line_if(text, |line| dedented(line, "    ")))),
    slip("indented more in old", |edit, _| old_only(edit, |old| each_line(old, |line| indented(line, "    ")))),
    slip("indented less in old", |edit, _| {
        Some((each_line_if(&edit.old, |line| dedented(line, "    "))?, edit.new.clone()))
    }),
    slip("one line indented otherwise", |edit, dice| {
        old_only(edit, |old| spoil_a_line(old, dice, |line| format!(" {line}")))
    }),
    slip("crlf in both", |edit, _| both(edit, |text| text.replace('\n', "\r\n"))),
    slip("crlf in old", |edit, _| old_only(edit, |old| old.replace('\n', "\r\n"))),
    slip("curly quotes in old", |edit, _| old_only(edit, curly)),
    respelling("curly quotes in both", |edit, _| both(edit, curly)),
    slip("no-break spaces in old", |edit, _| old_only(edit, |old| old.replace(' ', "\u{A0}"))),
    respelling("no-break spaces in both", |edit, _| both(edit, |text| text.replace(' ', "\u{A0}"))),
    slip("dashes in old", |edit, _| old_only(edit, |old| old.replace('-', "\u{2013}"))),
    slip("escaped newlines in both", |edit, _| both(edit, escaped)),
    slip("escaped newlines in old", |edit, _| old_only(edit, escaped)),
    slip("html entities in both", |edit, _| both(edit, entities)),
    slip("html entities in old", |edit, _| old_only(edit, entities)),
    slip("blank line dropped", |edit, _| old_only(edit, |old| old.replacen("\n\n", "\n", 1))),
    slip("middle elided in both", |edit, _| elided(edit)),
    slip("middle elided in old", |edit, _| elided(edit).map(|(old, _)| (old, edit.new.clone()))),
    slip("line numbers in both", |edit, _| {
        Some((numbered(&edit.old, edit.first_line + 1), numbered(&edit.new, edit.first_line + 1)))
    }),
    slip("closing tag leaked", |edit, _| both(edit, |text| format!("{text}</parameter>\n</invoke>"))),
    slip("last line cut in old", cut),
    slip("stale text", |edit, dice| old_only(edit, |old| spoil_a_line(old, dice, |line| line.replacen('e', "i", 1)))),
];

fn both(edit: &GoodEdit, spoil: impl Fn(&str) -> String) -> Option<(String, String)> {
    let old = spoil(&edit.old);
    (old != edit.old).then(|| (old, spoil(&edit.new)))
}

fn both_or_none(edit: &GoodEdit, spoil: impl Fn(&str) -> Option<String>) -> Option<(String, String)> {
    Some((spoil(&edit.old)?, spoil(&edit.new)?))
}

fn old_only(edit: &GoodEdit, spoil: impl FnOnce(&str) -> String) -> Option<(String, String)> {
    let old = spoil(&edit.old);
    (old != edit.old && old != edit.new).then(|| (old, edit.new.clone()))
}

fn each_line(text: &str, spoil: impl Fn(&str) -> String) -> String {
    text.split('\n').map(spoil).collect::<Vec<_>>().join("\n")
}

fn each_line_if(text: &str, spoil: impl Fn(&str) -> Option<String>) -> Option<String> {
    Some(text.split('\n').map(spoil).collect::<Option<Vec<_>>>()?.join("\n"))
}

fn spoil_a_line(text: &str, dice: &mut Dice, spoil: impl Fn(&str) -> String) -> String {
    let at = dice.roll(text.split('\n').count());
    let spoiled = text.split('\n').enumerate().map(|(n, line)| if n == at { spoil(line) } else { line.to_owned() });
    spoiled.collect::<Vec<_>>().join("\n")
}

fn indented(line: &str, indent: &str) -> String {
    if line.is_empty() { String::new() } else { format!("{indent}{line}") }
}

fn dedented(line: &str, indent: &str) -> Option<String> {
    if line.is_empty() { Some(String::new()) } else { line.strip_prefix(indent).map(str::to_owned) }
}

fn curly(text: &str) -> String {
    text.replace('"', "\u{201D}").replace('\'', "\u{2019}")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('"', "\\\"")
}

fn entities(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn numbered(text: &str, first: usize) -> String {
    (first..).zip(text.split('\n')).map(|(number, line)| format!("{number:6}\t{line}")).collect::<Vec<_>>().join("\n")
}

/// The lines that both texts have, but for the first and the last of them, become one line of dots.
fn elided(edit: &GoodEdit) -> Option<(String, String)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (edit.old.split('\n').collect(), edit.new.split('\n').collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    if head < 3 {
        return None;
    }
    let elide = |lines: &[&str]| [&lines[..1], &["    // ..."], &lines[head - 1..]].concat().join("\n");
    Some((elide(&old), elide(&new)))
}

/// The last line of `old` stops anywhere after its indentation.
fn cut(edit: &GoodEdit, dice: &mut Dice) -> Option<(String, String)> {
    let start = edit.old.rfind('\n')? + 1;
    let line = &edit.old[start..];
    let indent = line.len() - line.trim_start().len();
    let at = start + indent + 1 + dice.roll(line.len().checked_sub(indent + 2)?);
    edit.old.get(..at).map(|old| (old.to_owned(), edit.new.clone()))
}
