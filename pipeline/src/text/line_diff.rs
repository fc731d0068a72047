//! Which lines of two texts are the same lines.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

/// A run of lines that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hunk {
    /// Lines that are gone.
    pub(crate) before: Range<usize>,
    /// Lines that are there instead.
    pub(crate) after: Range<usize>,
}

/// The differing runs of two lists of lines, in order; between them the lists are equal.
pub(crate) fn hunks(before: &[&str], after: &[&str]) -> Vec<Hunk> {
    let mut input = InternedInput::default();
    input.update_before(before.iter().copied());
    input.update_after(after.iter().copied());
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    diff.hunks().map(|hunk| Hunk { before: as_usize(hunk.before), after: as_usize(hunk.after) }).collect()
}

fn as_usize(range: Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}
