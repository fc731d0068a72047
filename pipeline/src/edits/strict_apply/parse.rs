//! Reads a patch as Git prints it, and nothing else.

use domain::RepoPath;
use git2::Oid;

use super::binary::{self, BinaryPatch};
use super::hunk::{Hunk, Line, LineKind, Range};
use super::{PatchError, path};
use crate::repo::FileMode;

/// The part of a patch that is about one file.
#[derive(Debug)]
pub(super) struct FilePatch<'a> {
    /// Absent when the file is new.
    pub(super) old: Option<Side>,
    /// Absent when the file is deleted.
    pub(super) new: Option<Side>,
    pub(super) body: Body<'a>,
}

/// A file as the patch's header has it, before or after.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) path: RepoPath,
    /// Absent when the header does not say.
    pub(super) mode: Option<FileMode>,
    /// Absent when the content stays as it is.
    pub(super) id: Option<Oid>,
}

/// What happens to the content.
#[derive(Debug)]
pub(super) enum Body<'a> {
    /// Nothing.
    Unchanged,
    /// Lines change.
    Text(Vec<Hunk<'a>>),
    /// Bytes change.
    Binary { forward: BinaryPatch, reverse: BinaryPatch },
}

impl FilePatch<'_> {
    /// The patch that undoes this one.
    pub(super) fn reversed(self) -> Self {
        let body = match self.body {
            Body::Unchanged => Body::Unchanged,
            Body::Text(hunks) => Body::Text(hunks.into_iter().map(Hunk::reversed).collect()),
            Body::Binary { forward, reverse } => Body::Binary { forward: reverse, reverse: forward },
        };
        Self { old: self.new, new: self.old, body }
    }

    /// Where the file is, after or before.
    pub(super) fn path(&self) -> &RepoPath {
        // The parser makes no patch without a side.
        self.new.as_ref().or(self.old.as_ref()).map(|side| &side.path).expect("a patch is about a file")
    }
}

/// Reads a whole patch.
///
/// # Errors
/// [`PatchError::Syntax`] at the first line that does not belong.
pub(super) fn parse(patch: &[u8]) -> Result<Vec<FilePatch<'_>>, PatchError> {
    let mut lines = Lines { rest: patch, number: 0 };
    let mut patches = Vec::new();
    while !lines.rest.is_empty() {
        patches.push(parse_file(&mut lines)?);
    }
    Ok(patches)
}

/// The lines of a patch, with a look at the next one.
struct Lines<'a> {
    rest: &'a [u8],
    /// Lines taken so far.
    number: usize,
}

impl<'a> Lines<'a> {
    /// The next line with its line end.
    fn peek(&self) -> &'a [u8] {
        self.rest.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default()
    }

    fn take(&mut self) -> &'a [u8] {
        let line = self.peek();
        self.rest = &self.rest[line.len()..];
        self.number += 1;
        line
    }

    /// Takes the next line if it begins like this, and gives what follows, without the line end.
    fn take_after(&mut self, start: &[u8]) -> Option<&'a [u8]> {
        let tail = self.peek().strip_prefix(start)?.strip_suffix(b"\n")?;
        self.take();
        Some(tail)
    }

    fn error(&self, problem: &'static str) -> PatchError {
        PatchError::Syntax { line: self.number + 1, problem }
    }
}

/// What the header lines of one file say.
#[derive(Default)]
struct Header<'a> {
    names: &'a [u8],
    old_mode: Option<FileMode>,
    new_mode: Option<FileMode>,
    created: Option<FileMode>,
    deleted: Option<FileMode>,
    rename_from: Option<&'a [u8]>,
    rename_to: Option<&'a [u8]>,
    similarity: Option<&'a [u8]>,
    ids: Option<(Oid, Oid)>,
}

fn parse_file<'a>(lines: &mut Lines<'a>) -> Result<FilePatch<'a>, PatchError> {
    let header = parse_header(lines)?;
    let (old, new) = sides(&header).ok_or_else(|| lines.error("the header above contradicts itself"))?;
    let body = if lines.take_after(b"GIT binary patch").is_some() {
        Body::Binary { forward: parse_binary(lines)?, reverse: parse_binary(lines)? }
    } else if lines.peek().starts_with(b"--- ") {
        expect_file_line(lines, b"--- ", "a/", old.as_ref())?;
        expect_file_line(lines, b"+++ ", "b/", new.as_ref())?;
        parse_hunks(lines)?
    } else {
        Body::Unchanged
    };
    Ok(FilePatch { old, new, body })
}

fn parse_header<'a>(lines: &mut Lines<'a>) -> Result<Header<'a>, PatchError> {
    let names = lines.take_after(b"diff --git ").ok_or_else(|| lines.error("a file begins with `diff --git`"))?;
    let mut header = Header { names, ..Header::default() };
    loop {
        let mode_of =
            |text: &[u8], lines: &Lines<'_>| parse_mode(text).ok_or_else(|| lines.error("unknown mode above"));
        if let Some(text) = lines.take_after(b"old mode ") {
            header.old_mode = Some(mode_of(text, lines)?);
        } else if let Some(text) = lines.take_after(b"new mode ") {
            header.new_mode = Some(mode_of(text, lines)?);
        } else if let Some(text) = lines.take_after(b"new file mode ") {
            header.created = Some(mode_of(text, lines)?);
        } else if let Some(text) = lines.take_after(b"deleted file mode ") {
            header.deleted = Some(mode_of(text, lines)?);
        } else if let Some(text) = lines.take_after(b"rename from ") {
            header.rename_from = Some(text);
        } else if let Some(text) = lines.take_after(b"rename to ") {
            header.rename_to = Some(text);
        } else if let Some(text) = lines.take_after(b"index ") {
            let (ids, mode) = parse_index(text).ok_or_else(|| lines.error("two full ids are expected above"))?;
            header.ids = Some(ids);
            if mode.is_some() {
                (header.old_mode, header.new_mode) = (mode, mode);
            }
        } else if let Some(text) = lines.take_after(b"similarity index ") {
            header.similarity = Some(text);
        } else {
            return Ok(header);
        }
    }
}

/// The file before and after, or nothing when the header contradicts itself.
fn sides(header: &Header<'_>) -> Option<(Option<Side>, Option<Side>)> {
    let (old_path, new_path) = match (header.rename_from, header.rename_to) {
        // A rename has ids exactly if it also changes the content: so none that lost its hunks passes for a plain one.
        (Some(from), Some(to)) if header.similarity.map(|text| text == b"100%") == Some(header.ids.is_none()) => {
            (path::parse(from, "")?, path::parse(to, "")?)
        }
        (None, None) if header.similarity.is_none() => {
            let path = path::parse_pair(header.names)?;
            (path.clone(), path)
        }
        _ => return None,
    };
    let (old_id, new_id) = header.ids.unzip();
    let is_zero = |id: Option<Oid>| id.is_some_and(|id| id.is_zero());
    let old = Side { path: old_path, mode: header.old_mode, id: old_id };
    let new = Side { path: new_path, mode: header.new_mode, id: new_id };
    match (header.created, header.deleted) {
        (Some(mode), None) if is_zero(old_id) => Some((None, Some(Side { mode: Some(mode), ..new }))),
        (None, Some(mode)) if is_zero(new_id) => Some((Some(Side { mode: Some(mode), ..old }), None)),
        (None, None) if !is_zero(old_id) && !is_zero(new_id) => Some((Some(old), Some(new))),
        _ => None,
    }
}

fn expect_file_line(lines: &mut Lines<'_>, start: &[u8], prefix: &str, side: Option<&Side>) -> Result<(), PatchError> {
    let name = lines.take_after(start).ok_or_else(|| lines.error("`---` and `+++` lines go together"))?;
    let is_right = match side {
        Some(side) => path::parse(name, prefix).is_some_and(|path| path == side.path),
        None => name == b"/dev/null",
    };
    if is_right { Ok(()) } else { Err(lines.error("the line above names another file than the header")) }
}

fn parse_hunks<'a>(lines: &mut Lines<'a>) -> Result<Body<'a>, PatchError> {
    let mut hunks = Vec::new();
    while let Some(text) = lines.take_after(b"@@ ") {
        let (old, new) = parse_ranges(text).ok_or_else(|| lines.error("the hunk header above is malformed"))?;
        let lines = parse_hunk_lines(lines, old.count, new.count)?;
        hunks.push(Hunk { old, new, lines });
    }
    // libgit2 prints the file lines of an empty file too, and no hunk follows; the ids say whether that is right.
    Ok(Body::Text(hunks))
}

/// Exactly as many lines as the header counts.
fn parse_hunk_lines<'a>(
    lines: &mut Lines<'a>,
    mut old_left: usize,
    mut new_left: usize,
) -> Result<Vec<Line<'a>>, PatchError> {
    let mut found = Vec::new();
    while old_left > 0 || new_left > 0 {
        let (kind, old, new) = match lines.peek().first() {
            Some(b' ') => (LineKind::Context, 1, 1),
            Some(b'-') => (LineKind::Removed, 1, 0),
            Some(b'+') => (LineKind::Added, 0, 1),
            _ => return Err(lines.error("the hunk ends before its count")),
        };
        old_left = old_left.checked_sub(old).ok_or_else(|| lines.error("the hunk has more old lines than it says"))?;
        new_left = new_left.checked_sub(new).ok_or_else(|| lines.error("the hunk has more new lines than it says"))?;
        let mut content = &lines.take()[1..];
        if lines.peek().starts_with(b"\\ ") {
            lines.take();
            content = content.strip_suffix(b"\n").unwrap_or(content);
        } else if !content.ends_with(b"\n") {
            return Err(lines.error("the patch ends within a line"));
        }
        found.push(Line { kind, content });
    }
    Ok(found)
}

fn parse_binary(lines: &mut Lines<'_>) -> Result<BinaryPatch, PatchError> {
    type Make = fn(Vec<u8>) -> BinaryPatch;
    let (length, make): (_, Make) = if let Some(length) = lines.take_after(b"literal ") {
        (length, BinaryPatch::Literal)
    } else if let Some(length) = lines.take_after(b"delta ") {
        (length, BinaryPatch::Delta)
    } else {
        return Err(lines.error("`literal` or `delta` is expected"));
    };
    let length = parse_number(length).ok_or_else(|| lines.error("a length is expected above"))?;
    let mut compressed = Vec::new();
    loop {
        let line = lines.take_after(b"").ok_or_else(|| lines.error("the binary patch does not end"))?;
        if line.is_empty() {
            break;
        }
        compressed.extend(binary::decode_line(line).ok_or_else(|| lines.error("the line above is not base 85"))?);
    }
    let bytes = binary::inflate(&compressed, length);
    bytes.map(make).ok_or_else(|| lines.error("the binary patch above is not as long as it says"))
}

/// `<old>..<new>[ <mode>]` with full ids.
fn parse_index(text: &[u8]) -> Option<((Oid, Oid), Option<FileMode>)> {
    let text = std::str::from_utf8(text).ok()?;
    let (ids, mode) = text.split_once(' ').map_or((text, None), |(ids, mode)| (ids, Some(mode)));
    let (old, new) = ids.split_once("..")?;
    let id = |text: &str| if text.len() == 40 { text.parse::<Oid>().ok() } else { None };
    let mode = match mode {
        Some(mode) => Some(parse_mode(mode.as_bytes())?),
        None => None,
    };
    Some(((id(old)?, id(new)?), mode))
}

fn parse_mode(text: &[u8]) -> Option<FileMode> {
    FileMode::from_bits(i32::from_str_radix(std::str::from_utf8(text).ok()?, 8).ok()?)
}

/// `-1,2 +1,3 @@ heading`; a count of 1 is left out.
fn parse_ranges(text: &[u8]) -> Option<(Range, Range)> {
    let mut words = text.splitn(4, |&byte| byte == b' ');
    let old = parse_range(words.next()?.strip_prefix(b"-")?)?;
    let new = parse_range(words.next()?.strip_prefix(b"+")?)?;
    (words.next()? == b"@@").then_some((old, new))
}

fn parse_range(text: &[u8]) -> Option<Range> {
    let mut numbers = text.splitn(2, |&byte| byte == b',');
    let start = parse_number(numbers.next()?)?;
    let count = numbers.next().map_or(Some(1), parse_number)?;
    Some(Range { start, count })
}

fn parse_number(text: &[u8]) -> Option<usize> {
    let is_plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if is_plain { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}
