//! Hunks, at exactly the place they name.

/// A run of lines: what the file has there and what it shall have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hunk<'a> {
    pub(super) old: Range,
    pub(super) new: Range,
    pub(super) lines: Vec<Line<'a>>,
}

/// Where a side of a hunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// Line as the header has it: from 1, or, for no lines at all, the line before.
    pub(super) start: usize,
    pub(super) count: usize,
}

impl Range {
    /// How many lines come before the hunk.
    fn lines_before(self) -> Option<usize> {
        if self.count == 0 { Some(self.start) } else { self.start.checked_sub(1) }
    }
}

/// One line of a hunk, with its line end unless the file ends without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) kind: LineKind,
    pub(super) content: &'a [u8],
}

/// Which side a line is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineKind {
    Context,
    Removed,
    Added,
}

impl Hunk<'_> {
    /// The hunk that undoes this one.
    pub(super) fn reversed(self) -> Self {
        let flip = |kind| match kind {
            LineKind::Context => LineKind::Context,
            LineKind::Removed => LineKind::Added,
            LineKind::Added => LineKind::Removed,
        };
        let lines = self.lines.into_iter().map(|line| Line { kind: flip(line.kind), ..line }).collect();
        Self { old: self.new, new: self.old, lines }
    }
}

/// Applies hunks to a file. The error is the index of the hunk that is not what the file has.
pub(super) fn apply(hunks: &[Hunk<'_>], bytes: &[u8]) -> Result<Vec<u8>, usize> {
    let old: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    let mut new: Vec<&[u8]> = Vec::with_capacity(old.len());
    let mut next = 0;
    for (index, hunk) in hunks.iter().enumerate() {
        let start = hunk.old.lines_before().ok_or(index)?;
        new.extend(old.get(next..start).ok_or(index)?);
        next = start;
        if hunk.new.lines_before() != Some(new.len()) {
            return Err(index);
        }
        for line in &hunk.lines {
            if line.kind != LineKind::Added {
                if old.get(next) != Some(&line.content) {
                    return Err(index);
                }
                next += 1;
            }
            if line.kind != LineKind::Removed {
                // A line without a line end can only be the last one.
                if new.last().is_some_and(|last| !last.ends_with(b"\n")) {
                    return Err(index);
                }
                new.push(line.content);
            }
        }
    }
    new.extend(&old[next..]);
    Ok(new.concat())
}
