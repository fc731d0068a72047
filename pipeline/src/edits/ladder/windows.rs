//! Rungs 1 to 3: whole lines that agree but for blanks, for spelling, or for the indentation of the block.

use super::{Found, MatchRung, Miss, new_lines, splice_lines};
use crate::edits::fold::fold_line;
use crate::edits::indent::Shift;
use crate::edits::transplant::transplant;
use crate::text::{line_starts, lines};

/// The only run of lines that agrees with `old`, on the first of the three rungs that has any.
pub(super) fn find(file: &str, old: &str, new: &str) -> Result<Found, Miss> {
    let (file_lines, new, old) = (lines(file), new_lines(old, new), lines(old));
    let trimmed: Vec<&str> = file_lines.iter().map(|line| line.trim_end()).collect();
    let folded: Vec<_> = file_lines.iter().map(|line| fold_line(line)).collect();
    let starts = line_starts(&file_lines);

    for block in blocks(&old) {
        let old_trimmed: Vec<&str> = block.lines.iter().map(|line| line.trim_end()).collect();
        let old_folded: Vec<_> = block.lines.iter().map(|line| fold_line(line)).collect();
        let by_rung = [
            (MatchRung::Trim, agreeing(&trimmed, |window| (window == old_trimmed).then_some(Shift::None), &block)),
            (MatchRung::Unicode, agreeing(&folded, |window| (window == old_folded).then_some(Shift::None), &block)),
            (MatchRung::Indent, agreeing(&folded, |window| Shift::between(&old_folded, window), &block)),
        ];
        for (rung, hits) in by_rung {
            let (first_line, shift) = match &hits[..] {
                [] => continue,
                [only] => only,
                several => {
                    let lines = several.iter().map(|(line, _)| *line).collect();
                    return Err(Miss::Ambiguous { rung, lines });
                }
            };
            let Some((old, new)) = shift.apply(&old, &new) else { return Err(Miss::Nowhere) };
            let place = *first_line..*first_line + block.lines.len();
            let mut counterparts: Vec<Option<&str>> = file_lines[place.clone()].iter().copied().map(Some).collect();
            counterparts.splice(0..0, std::iter::repeat_n(None, block.dropped_before));
            counterparts.resize(old.len(), None);
            let (old, new): (Vec<_>, Vec<_>) = (borrow(&old), borrow(&new));
            let splices = vec![splice_lines(file, &starts, place, &transplant(&counterparts, &old, &new))];
            return Ok(Found { rung, splices });
        }
    }
    Err(Miss::Nowhere)
}

/// Every place where a window of the block's length agrees.
fn agreeing<T>(file: &[T], agrees: impl Fn(&[T]) -> Option<Shift>, block: &Block<'_>) -> Vec<(usize, Shift)> {
    file.windows(block.lines.len())
        .enumerate()
        .filter_map(|(first_line, window)| agrees(window).map(|shift| (first_line, shift)))
        .collect()
}

/// The lines of `old`, perhaps without a blank line at either edge.
struct Block<'a> {
    lines: &'a [&'a str],
    dropped_before: usize,
}

/// `old` itself, then without one blank line before, after, or both. Nothing if it is all blank.
fn blocks<'a>(old: &'a [&'a str]) -> Vec<Block<'a>> {
    let is_blank = |line: Option<&&str>| line.is_some_and(|line| line.trim().is_empty());
    let mut blocks = vec![Block { lines: old, dropped_before: 0 }];
    if is_blank(old.last()) {
        blocks.push(Block { lines: &old[..old.len() - 1], dropped_before: 0 });
    }
    if is_blank(old.first()) {
        blocks.push(Block { lines: &old[1..], dropped_before: 1 });
        if is_blank(old[1..].last()) {
            blocks.push(Block { lines: &old[1..old.len() - 1], dropped_before: 1 });
        }
    }
    blocks.retain(|block| block.lines.iter().any(|line| !line.trim().is_empty()));
    blocks
}

fn borrow(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}
