//! Which lines of an edited file are still the lines the model first saw.
//!
//! Edits of one turn are all written against the file as it was. When an earlier one of them made a later one's text
//! ambiguous, the later one still means the place that was unique before — if nothing has touched that place since.

use std::ops::Range;

use super::ladder::Splice;
use crate::text::{line_starts, lines};

/// For each line of the file now, the line (from 0) of the base it is; nothing for a line that was touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lineage(Vec<Option<usize>>);

impl Lineage {
    /// Of a file nobody has touched.
    pub(super) fn untouched(shown: &str) -> Self {
        Self((0..lines(shown).len()).map(Some).collect())
    }

    /// Of a file that was written anew.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// After `splices` turned `before` into `after`.
    pub(super) fn follow(&self, before: &str, splices: &[Splice], after: &str) -> Self {
        let old_starts = line_starts(&lines(before));
        let segments = kept_segments(before, splices);
        let after_lines = lines(after);
        let origin = |start: usize, len: usize| {
            // The line with its line end must lie in one kept segment, and be a whole line of `before` as well.
            let end = (start + len + 1).min(after.len());
            let (new, old_start) = segments.iter().find(|(new, _)| new.start <= start && end <= new.end)?;
            let old_line = old_starts.binary_search(&(old_start + start - new.start)).ok()?;
            self.0.get(old_line).copied().flatten()
        };
        Self(
            line_starts(&after_lines)
                .iter()
                .zip(&after_lines)
                .map(|(&start, line)| origin(start, line.len()))
                .collect(),
        )
    }

    /// Where the run of base lines is now, if none of it was touched and nothing was put between.
    pub(super) fn find(&self, base_lines: &Range<usize>) -> Option<usize> {
        let first = self.0.iter().position(|&origin| origin == Some(base_lines.start))?;
        let run = self.0.get(first..first + base_lines.len())?;
        run.iter().copied().eq(base_lines.clone().map(Some)).then_some(first)
    }
}

/// The stretches between the splices: where they are afterwards, and where they began before.
fn kept_segments(before: &str, splices: &[Splice]) -> Vec<(Range<usize>, usize)> {
    let mut segments = Vec::with_capacity(splices.len() + 1);
    let (mut old, mut new) = (0, 0);
    for Splice { place, text } in splices {
        segments.push((new..new + place.start - old, old));
        new += place.start - old + text.len();
        old = place.end;
    }
    segments.push((new..new + before.len() - old, old));
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_untouched_lines_through_an_edit() {
        let (before, after) = ("a\nb\nc\n", "x\ny\na\nB\nc\n");
        let splices = [Splice { place: 0..0, text: "x\ny\n".to_owned() }, Splice { place: 2..3, text: "B".to_owned() }];
        let lineage = Lineage::untouched(before).follow(before, &splices, after);
        assert_eq!(lineage, Lineage(vec![None, None, Some(0), None, Some(2)]));
        assert_eq!(lineage.find(&(2..3)), Some(4));
        assert_eq!(lineage.find(&(0..2)), None);
    }
}
