//! One text for another, in one file: all that may be forgiven, in the order of its safety.

use super::applied::Note;
use super::error::Refusal;
use super::ladder::{self, Found, MatchRung, Miss, Splice};
use super::lineage::Lineage;
use super::nearest::{Excerpt, Nearest};
use super::slips;
use crate::text::{as_shown, line_starts, lines};

/// Most lines of context looked at to tell several places apart.
const MAX_CONTEXT_LINES: usize = 8;

/// What the model asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replacement<'a> {
    pub(super) old: &'a str,
    pub(super) new: &'a str,
    pub(super) everywhere: bool,
}

/// The file the text is in, as the model sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// The file now.
    pub(super) now: &'a str,
    /// The file before any edit.
    pub(super) base: &'a str,
    /// How the two hang together.
    pub(super) lineage: &'a Lineage,
}

/// A replacement that was carried out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Replaced {
    pub(super) shown: String,
    pub(super) lineage: Lineage,
    pub(super) rung: MatchRung,
    /// First line that changed, from 0.
    pub(super) line: usize,
    /// How many lines the change spans.
    pub(super) span: usize,
    pub(super) count: usize,
    pub(super) notes: Vec<Note>,
}

/// Carries out a replacement.
///
/// # Errors
/// [`Refusal`] when the text is not in exactly one place (or in none, for a replacement everywhere).
pub(super) fn replace(target: Target<'_>, asked: Replacement<'_>) -> Result<Replaced, Refusal> {
    let (old, new) = (as_shown(asked.old), as_shown(asked.new));
    if old.trim().is_empty() {
        return Err(Refusal::BlankText);
    }
    if old == new {
        return Err(Refusal::NoChange);
    }
    if asked.everywhere {
        return replace_everywhere(target, &old, &new);
    }
    let miss = match ladder::climb(target.now, &old, &new) {
        Ok(found) => return carry_out(target, &found, Vec::new()),
        Err(miss) => miss,
    };
    if let Some(found) = find_in_base(target, &old, &new) {
        return carry_out(target, &found, vec![Note::FoundInBase]);
    }
    if miss == Miss::Nowhere {
        if let Some((found, note)) = find_despite_slips(target, &old, &new) {
            return carry_out(target, &found, vec![note]);
        }
        if let Some(line) = line_of_earlier_result(target, &new) {
            return Ok(repeat(target, line));
        }
    }
    Err(explain(miss, target.now, &old, &new))
}

/// Every occurrence, exactly as written: leniency and many places do not go together.
fn replace_everywhere(target: Target<'_>, old: &str, new: &str) -> Result<Replaced, Refusal> {
    let places = target.now.match_indices(old);
    let splices: Vec<Splice> =
        places.map(|(at, _)| Splice { place: at..at + old.len(), text: new.to_owned() }).collect();
    if splices.is_empty() {
        return match line_of_earlier_result(target, new) {
            Some(line) => Ok(repeat(target, line)),
            None => Err(explain(Miss::Nowhere, target.now, old, new)),
        };
    }
    carry_out(target, &Found { rung: MatchRung::Exact, splices }, Vec::new())
}

fn carry_out(target: Target<'_>, found: &Found, notes: Vec<Note>) -> Result<Replaced, Refusal> {
    let shown = ladder::splice(target.now, &found.splices);
    if shown == target.now {
        return Err(Refusal::NoChange);
    }
    let first = found.splices.first().map_or(0, |splice| splice.place.start);
    Ok(Replaced {
        line: ladder::line_at(target.now, first),
        span: found.splices.first().map_or(1, |splice| lines(&splice.text).len()),
        lineage: target.lineage.follow(target.now, &found.splices, &shown),
        rung: found.rung,
        count: if found.rung == MatchRung::Elision { 1 } else { found.splices.len() },
        shown,
        notes,
    })
}

/// The one place in the base, if it is still untouched, as a place in the file now.
fn find_in_base(target: Target<'_>, old: &str, new: &str) -> Option<Found> {
    let Found { rung, mut splices } = ladder::climb(target.base, old, new).ok()?;
    let start = splices.first()?.place.start;
    let end = splices.last()?.place.end;
    let base_lines = ladder::line_at(target.base, start)..ladder::line_at(target.base, end.saturating_sub(1)) + 1;
    let now_line = target.lineage.find(&base_lines)?;
    let base_start = *line_starts(&lines(target.base)).get(base_lines.start)?;
    let now_start = *line_starts(&lines(target.now)).get(now_line)?;
    for splice in &mut splices {
        let place = splice.place.start - base_start + now_start..splice.place.end - base_start + now_start;
        if target.now.get(place.clone())? != &target.base[splice.place.clone()] {
            return None;
        }
        splice.place = place;
    }
    Some(Found { rung, splices })
}

/// The text without line numbers, or without leaked tags: then it must be there exactly.
fn find_despite_slips(target: Target<'_>, old: &str, new: &str) -> Option<(Found, Note)> {
    if let Some((old, new)) = slips::without_leaked_tags(old, new).filter(|(old, _)| !old.trim().is_empty()) {
        let found = ladder::climb(target.now, &old, &new).ok().filter(|found| found.rung == MatchRung::Exact);
        return found.map(|found| (found, Note::LeakedTagsStripped));
    }
    let plain = slips::without_gutter(old, new).filter(|plain| !plain.old.trim().is_empty())?;
    let found = ladder::climb(target.now, &plain.old, &plain.new).ok()?;
    // The number says which line was meant: in the file now, or as it was when the model read it.
    let line = ladder::line_at(target.now, found.splices.first()?.place.start);
    let base_line = plain.first_line.checked_sub(1)?;
    let is_there = line == base_line || target.lineage.find(&(base_line..base_line + 1)) == Some(line);
    (found.rung <= MatchRung::Trim && is_there).then_some((found, Note::GutterStripped))
}

/// The line where the new text is, when an edit of this job put it there: then this edit was sent twice.
fn line_of_earlier_result(target: Target<'_>, new: &str) -> Option<usize> {
    if new.trim().is_empty() || target.base.contains(new) {
        return None;
    }
    match ladder::occurrences(target.now, new)[..] {
        [only] => Some(ladder::line_at(target.now, only)),
        _ => None,
    }
}

fn repeat(target: Target<'_>, line: usize) -> Replaced {
    Replaced {
        shown: target.now.to_owned(),
        lineage: target.lineage.clone(),
        rung: MatchRung::Exact,
        line,
        span: 1,
        count: 0,
        notes: vec![Note::AlreadyApplied],
    }
}

fn explain(miss: Miss, now: &str, old: &str, new: &str) -> Refusal {
    let file = lines(now);
    let around = |line: usize| Excerpt::around(&file, line.min(file.len().saturating_sub(1)), 1, false);
    match miss {
        Miss::Nowhere => Refusal::NotFound {
            nearest: Nearest::find(now, old),
            new_text_at: match ladder::occurrences(now, new)[..] {
                [only] if !new.trim().is_empty() => Some(ladder::line_at(now, only) + 1),
                _ => None,
            },
        },
        Miss::Ambiguous { rung, lines: places } => Refusal::Ambiguous {
            rung,
            context_needed: context_needed(&file, &places, lines(old).len()),
            first: around(places.first().copied().unwrap_or(0)),
            lines: places.into_iter().map(|line| line + 1).collect(),
        },
        Miss::CutLine(line) => Refusal::CutLine { line: line + 1, excerpt: around(line) },
        Miss::JoinsLine(line) => Refusal::JoinsLine { line: line + 1, excerpt: around(line) },
    }
}

/// The fewest lines before or after that differ between all the places.
fn context_needed(file: &[&str], places: &[usize], len: usize) -> Option<usize> {
    (1..=MAX_CONTEXT_LINES).find(|&count| {
        let before = |&place: &usize| file.get(place.saturating_sub(count)..place);
        let after = |&place: &usize| file.get((place + len).min(file.len())..(place + len + count).min(file.len()));
        are_distinct(places.iter().map(before)) || are_distinct(places.iter().map(after))
    })
}

fn are_distinct<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut items: Vec<T> = items.collect();
    items.sort();
    items.windows(2).all(|pair| pair[0] != pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace_in<'a>(now: &'a str, old: &'a str, new: &'a str) -> Result<Replaced, Refusal> {
        let target = Target { now, base: now, lineage: &Lineage::untouched(now) };
        replace(target, Replacement { old, new, everywhere: false })
    }

    #[test]
    fn an_edit_sent_twice_is_fine_the_second_time() {
        let first = replace_in("a = 1\nb = 2\n", "a = 1", "a = one").expect("applied");
        let target = Target { now: &first.shown, base: "a = 1\nb = 2\n", lineage: &first.lineage };
        let again = replace(target, Replacement { old: "a = 1", new: "a = one", everywhere: false }).expect("repeat");
        assert_eq!((again.shown.as_str(), again.notes), ("a = one\nb = 2\n", vec![Note::AlreadyApplied]));
    }

    #[test]
    fn text_that_was_always_there_does_not_excuse_a_text_that_is_not() {
        let refusal = replace_in("x = 1\ny = 2\n", "z = 1", "y = 2").expect_err("not found");
        assert!(matches!(refusal, Refusal::NotFound { new_text_at: Some(2), .. }), "{refusal:?}");
    }

    #[test]
    fn a_place_unique_before_the_edits_is_still_meant() {
        let base = "fn a() {\n    go();\n}\nfn b() {\n}\n";
        let copied = replace_in(base, "fn b() {\n", "fn b() {\n    go();\n").expect("applied");
        let target = Target { now: &copied.shown, base, lineage: &copied.lineage };
        let edit = Replacement { old: "    go();\n", new: "    stop();\n", everywhere: false };
        let replaced = replace(target, edit).expect("applied");
        assert_eq!(replaced.shown, "fn a() {\n    stop();\n}\nfn b() {\n    go();\n}\n");
        assert_eq!(replaced.notes, vec![Note::FoundInBase]);
    }

    #[test]
    fn a_line_number_must_name_the_line() {
        let file = "one\ntwo\nthree\nfour\n";
        let replaced = replace_in(file, "2\ttwo\n3\tthree", "2\tTWO\n3\tthree").expect("applied");
        assert_eq!(replaced.shown, "one\nTWO\nthree\nfour\n");
        assert!(replace_in(file, "7\ttwo\n8\tthree", "7\tTWO\n8\tthree").is_err());
    }

    #[test]
    fn says_how_much_context_is_needed() {
        let file = "a\nx\nb\nx\n";
        let refusal = replace_in(file, "x", "y").expect_err("ambiguous");
        assert!(matches!(refusal, Refusal::Ambiguous { context_needed: Some(1), .. }), "{refusal:?}");
    }
}
