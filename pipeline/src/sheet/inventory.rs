//! Every file of a snapshot with what it is, and its text when a model gets to read it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::RepoPath;
use git2::{Blob, Oid, Repository};

use super::attributes::{Attributes, Marks};
use super::classify::{self, FileClass};
use super::language::Language;
use super::tokens::{TextKind, estimate_tokens};
use super::{SheetLimits, rules};
use crate::repo::{Entry, FileMode, ReadError, Snapshot};
use crate::text::FileText;

/// Larger `.gitattributes` files are not read.
const MAX_ATTRIBUTES_BYTES: u64 = 64 << 10;

/// Longest target of a symlink, in bytes: what common file systems allow.
const MAX_LINK_BYTES: u64 = 4096;

/// Files that a thread takes at a time: neighbours share folders of the pack.
const FILES_PER_TURN: usize = 16;

/// One file of the repository.
pub(crate) struct FileRow<'a> {
    pub(crate) path: &'a RepoPath,
    pub(crate) class: FileClass,
    pub(crate) language: Option<Language>,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) content: Content,
}

/// What of a file is in the sheet.
pub(crate) enum Content {
    /// All of it.
    Shown(ShownText),
    /// Nothing.
    LeftOut(Reason),
}

/// A file's text, read and measured.
pub(crate) struct ShownText {
    pub(crate) text: FileText,
    pub(crate) kind: TextKind,
    pub(crate) tokens: u64,
    pub(crate) is_utf8: bool,
    pub(crate) has_boundary: bool,
}

/// Why a file's content is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The class says it all.
    Class,
    /// There is none.
    Empty,
    /// The host did not send it.
    NotFetched,
    /// Beyond [`SheetLimits::max_file_bytes`].
    TooLarge,
    /// Beyond [`SheetLimits::max_mean_line_bytes`].
    LongLines,
    /// One of many of a kind in its folder; how many.
    ManyAlike(usize),
    /// Beyond [`SheetLimits::max_total_bytes`].
    SheetFull,
    /// A symlink, to this path.
    Link(String),
    /// A submodule, at this commit.
    Submodule(Oid),
    /// A pointer to an LFS object of this many bytes.
    Lfs(u64),
}

/// What to do about a file, decided before any content is read.
enum Plan {
    Read,
    ReadLink,
    LeaveOut(Reason),
}

struct PlannedFile<'a> {
    path: &'a RepoPath,
    entry: Entry,
    marks: Marks,
    class: FileClass,
    language: Option<Language>,
    plan: Plan,
}

/// Reads the files, in the order of the sheet: folder by folder, in each the readme and the manifests first.
///
/// The rows are the same whatever [`SheetLimits::threads`] is. `boundary` is looked for in every text.
pub(super) fn read<'a>(
    snapshot: &'a Snapshot,
    limits: &SheetLimits,
    boundary: &str,
) -> Result<Vec<FileRow<'a>>, ReadError> {
    let planned = plan(snapshot, limits)?;
    let reader = Reader { limits, boundary, git_directory: snapshot.repository().path().to_owned() };
    let next = AtomicUsize::new(0);
    let results = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..limits.threads.max(1)).map(|_| scope.spawn(|| reader.work(&planned, &next))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Vec<_>>()
    });
    let mut rows: Vec<Option<FileRow<'a>>> = planned.iter().map(|_| None).collect();
    for result in results {
        for (index, row) in result? {
            rows[index] = Some(row);
        }
    }
    Ok(rows.into_iter().flatten().collect())
}

fn plan<'a>(snapshot: &'a Snapshot, limits: &SheetLimits) -> Result<Vec<PlannedFile<'a>>, ReadError> {
    let attributes = read_attributes(snapshot)?;
    let alike = count_alike(snapshot);
    let mut planned: Vec<_> = snapshot
        .entries()
        .iter()
        .map(|(path, entry)| {
            let marks = attributes.marks(path.as_str());
            plan_file(path, *entry, marks, alike.get(&alike_key(path)).copied().unwrap_or(0), limits)
        })
        .collect();
    planned.sort_by_cached_key(|file| (file.path.parent(), classify::folder_rank(file.path), file.path.file_name()));

    let mut total_bytes = 0_u64;
    for file in &mut planned {
        if matches!(file.plan, Plan::Read) {
            total_bytes = total_bytes.saturating_add(file.entry.size.unwrap_or(0));
            if total_bytes > limits.max_total_bytes {
                file.plan = Plan::LeaveOut(Reason::SheetFull);
            }
        }
    }
    Ok(planned)
}

fn plan_file<'a>(
    path: &'a RepoPath,
    entry: Entry,
    marks: Marks,
    alike: usize,
    limits: &SheetLimits,
) -> PlannedFile<'a> {
    let language = Language::of(path);
    let mut class = match entry.mode {
        FileMode::Symlink => FileClass::Symlink,
        FileMode::Submodule => FileClass::Submodule,
        FileMode::Regular | FileMode::Executable => classify::by_path(path, language, marks),
    };
    let is_one_of_many = alike > limits.max_alike_files && class.is_readable() && is_fixture(path);
    if is_one_of_many {
        class = FileClass::Data;
    }
    let plan = match (entry.mode, entry.size) {
        (FileMode::Submodule, _) => Plan::LeaveOut(Reason::Submodule(entry.oid)),
        (_, None) => Plan::LeaveOut(Reason::NotFetched),
        (FileMode::Symlink, Some(bytes)) if bytes <= MAX_LINK_BYTES => Plan::ReadLink,
        _ if is_one_of_many => Plan::LeaveOut(Reason::ManyAlike(alike)),
        _ if !class.is_readable() => Plan::LeaveOut(Reason::Class),
        (_, Some(0)) => Plan::LeaveOut(Reason::Empty),
        (_, Some(bytes)) if bytes > limits.max_file_bytes => Plan::LeaveOut(Reason::TooLarge),
        _ => Plan::Read,
    };
    PlannedFile { path, entry, marks, class, language, plan }
}

fn read_attributes(snapshot: &Snapshot) -> Result<Attributes, ReadError> {
    // What the repository says about its files counts, whether the job may see where it says so or not.
    let anywhere = |path| snapshot.entries().get(&path).or_else(|| snapshot.hidden().get(&path));
    let file = RepoPath::parse(".gitattributes").ok().and_then(anywhere);
    match file {
        Some(Entry { mode, oid, size: Some(bytes) }) if mode.is_file() && *bytes <= MAX_ATTRIBUTES_BYTES => {
            Ok(Attributes::parse(&String::from_utf8_lossy(&snapshot.read(*oid)?)))
        }
        _ => Ok(Attributes::none()),
    }
}

/// How many files each folder has of each extension.
fn count_alike(snapshot: &Snapshot) -> HashMap<(&str, &str), usize> {
    let mut alike = HashMap::new();
    for path in snapshot.entries().keys().filter(|path| is_fixture(path)) {
        *alike.entry(alike_key(path)).or_insert(0) += 1;
    }
    alike
}

fn alike_key(path: &RepoPath) -> (&str, &str) {
    (path.parent(), path.extension().unwrap_or_default())
}

fn is_fixture(path: &RepoPath) -> bool {
    path.extension().is_some_and(|extension| rules::FIXTURE_EXTENSIONS.contains(&extension))
}

/// What the threads share.
struct Reader<'a> {
    limits: &'a SheetLimits,
    boundary: &'a str,
    git_directory: PathBuf,
}

impl Reader<'_> {
    /// Takes files until there are none left. Each thread has its own handle: Git's objects are not shared.
    fn work<'a>(
        &self,
        planned: &[PlannedFile<'a>],
        next: &AtomicUsize,
    ) -> Result<Vec<(usize, FileRow<'a>)>, ReadError> {
        let mut objects = None;
        let mut rows = Vec::new();
        loop {
            let start = next.fetch_add(FILES_PER_TURN, Ordering::Relaxed);
            if start >= planned.len() {
                return Ok(rows);
            }
            let end = planned.len().min(start + FILES_PER_TURN);
            for (index, file) in planned.iter().enumerate().take(end).skip(start) {
                rows.push((index, self.row(file, &mut objects)?));
            }
        }
    }

    fn row<'a>(&self, file: &PlannedFile<'a>, objects: &mut Option<Repository>) -> Result<FileRow<'a>, ReadError> {
        let (class, content) = match &file.plan {
            Plan::LeaveOut(reason) => (file.class, Content::LeftOut(reason.clone())),
            Plan::ReadLink => {
                let target = find_blob(self.open(objects, file)?, file.entry.oid)?;
                let target = String::from_utf8_lossy(target.content()).into_owned();
                (file.class, Content::LeftOut(Reason::Link(target)))
            }
            Plan::Read => self.measure(file, find_blob(self.open(objects, file)?, file.entry.oid)?.content()),
        };
        let PlannedFile { path, language, entry, .. } = *file;
        Ok(FileRow { path, class, language, size_bytes: entry.size, content })
    }

    /// The thread's own handle, opened for the first file that needs it.
    fn open<'r>(
        &self,
        objects: &'r mut Option<Repository>,
        file: &PlannedFile<'_>,
    ) -> Result<&'r Repository, ReadError> {
        if let Some(repository) = objects {
            return Ok(repository);
        }
        let opened = Repository::open_bare(&self.git_directory);
        Ok(objects.insert(opened.map_err(|source| ReadError::Git { oid: file.entry.oid, source })?))
    }

    fn measure(&self, file: &PlannedFile<'_>, bytes: &[u8]) -> (FileClass, Content) {
        let class = classify::by_content(file.class, bytes, file.path, file.marks);
        if let Some(object_bytes) = classify::lfs_object_bytes(bytes) {
            return (class, Content::LeftOut(Reason::Lfs(object_bytes)));
        }
        if !class.is_readable() {
            return (class, Content::LeftOut(Reason::Class));
        }
        let kind = file.language.map_or(TextKind::Code, Language::text_kind);
        // Prose may have a paragraph on a line.
        if kind != TextKind::Prose && classify::mean_line_bytes(bytes) > self.limits.max_mean_line_bytes {
            return (class, Content::LeftOut(Reason::LongLines));
        }
        let Ok(text) = FileText::decode(bytes) else {
            return (FileClass::Binary, Content::LeftOut(Reason::Class));
        };
        let tokens = estimate_tokens(text.shown(), kind);
        let has_boundary = text.shown().contains(self.boundary);
        let is_utf8 = std::str::from_utf8(bytes).is_ok();
        (class, Content::Shown(ShownText { text, kind, tokens, is_utf8, has_boundary }))
    }
}

/// A blob. Its size is known from its header and within [`SheetLimits`].
fn find_blob(repository: &Repository, oid: Oid) -> Result<Blob<'_>, ReadError> {
    repository.find_blob(oid).map_err(|source| ReadError::Git { oid, source })
}
