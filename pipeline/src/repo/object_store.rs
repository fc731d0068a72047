//! A bare repository in a temporary folder: an object database and nothing else. All of this blocks.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use domain::CommitId;
use git2::{ObjectType, Odb, OdbPackwriter, Oid, Repository};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::settings::MAX_PACK_OBJECTS;
use super::{FetchError, Snapshot, SnapshotLimits, TooLarge};

/// libgit2 maps the pack anew for each piece, so packets are collected first; but nothing stops it inside a piece, and
/// a byte of a piece can stand for a thousand.
const PIECE_BYTES: usize = 256 << 10;

/// `PACK`, version, number of objects (`gitformat-pack`).
const PACK_HEADER_BYTES: usize = 12;

/// Tags that point to tags: more than a few of them are a game.
const MAX_TAG_LEVELS: usize = 8;

/// Largest commit or tag object.
const MAX_COMMIT_BYTES: usize = 4 << 20;

/// A step of a pack's arrival. Without an [`Arrival::End`] the pack is not whole.
pub(crate) enum Arrival {
    Piece(Bytes),
    End,
}

/// Where a pack goes and what is made of it.
pub(crate) struct ObjectStore {
    folder: TempDir,
    repository: Repository,
    stop: CancellationToken,
}

impl ObjectStore {
    /// Makes an empty bare repository below `parent`: what libgit2 needs to recognise one, and no more.
    pub(crate) fn create(parent: &Path, stop: CancellationToken) -> Result<Self, FetchError> {
        let folder = tempfile::Builder::new().prefix("tinygen-repo-").tempdir_in(parent).map_err(FetchError::Disk)?;
        let skeleton = |path: &Path| -> io::Result<()> {
            fs::create_dir_all(path.join("objects/pack"))?;
            fs::create_dir(path.join("refs"))?;
            fs::write(path.join("HEAD"), "ref: refs/heads/main\n")
        };
        skeleton(folder.path()).map_err(FetchError::Disk)?;
        let repository = Repository::open_bare(folder.path())?;
        Ok(Self { folder, repository, stop })
    }

    /// Stores the pack as it comes in and indexes it.
    pub(crate) fn receive(&self, mut arrivals: mpsc::Receiver<Arrival>) -> Result<(), FetchError> {
        let odb = self.repository.odb()?;
        let mut sink = PackSink::new(&odb, self.stop.clone())?;
        loop {
            match arrivals.blocking_recv() {
                Some(Arrival::Piece(bytes)) => sink.write(&bytes)?,
                Some(Arrival::End) => return sink.finish(),
                None => return Err(FetchError::Stopped),
            }
        }
    }

    /// Lists the files of the commit that `id` is, or that the tag `id` points to.
    pub(crate) fn into_snapshot(
        self,
        id: &CommitId,
        is_shallow: bool,
        limits: SnapshotLimits,
    ) -> Result<Snapshot, FetchError> {
        let commit = self.peel(id)?;
        if is_shallow {
            fs::write(self.folder.path().join("shallow"), format!("{commit}\n")).map_err(FetchError::Disk)?;
        }
        Ok(Snapshot::open_in(self.folder, self.repository, commit, limits, &self.stop)?)
    }

    fn peel(&self, id: &CommitId) -> Result<Oid, FetchError> {
        let odb = self.repository.odb()?;
        let mut oid = Oid::from_str(id.as_str())?;
        for _ in 0..MAX_TAG_LEVELS {
            let (bytes, kind) = odb.read_header(oid)?;
            if bytes > MAX_COMMIT_BYTES {
                return Err(FetchError::TooLarge(TooLarge::Commit(MAX_COMMIT_BYTES)));
            }
            match kind {
                ObjectType::Commit => return Ok(oid),
                ObjectType::Tag => oid = self.repository.find_tag(oid)?.target_id(),
                _ => break,
            }
        }
        Err(FetchError::RefNotFound(id.to_string()))
    }
}

/// Writes a pack in pieces of a good size, after a look at its header.
struct PackSink<'a> {
    writer: OdbPackwriter<'a>,
    buffer: Vec<u8>,
    is_header_checked: bool,
    stop: CancellationToken,
}

impl<'a> PackSink<'a> {
    fn new(odb: &'a Odb<'_>, stop: CancellationToken) -> Result<Self, FetchError> {
        let mut writer = odb.packwriter()?;
        // Resolving deltas can take long after the last byte is in.
        let is_stopped = stop.clone();
        writer.progress(move |_| !is_stopped.is_cancelled());
        Ok(Self { writer, buffer: Vec::with_capacity(PIECE_BYTES), is_header_checked: false, stop })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.buffer.extend_from_slice(bytes);
        if !self.is_header_checked && self.buffer.len() >= PACK_HEADER_BYTES {
            check_object_count(&self.buffer)?;
            self.is_header_checked = true;
        }
        if self.buffer.len() >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    fn finish(mut self) -> Result<(), FetchError> {
        self.flush()?;
        self.writer.commit().map(|_| ()).map_err(|error| self.failure(error.into()))
    }

    fn flush(&mut self) -> Result<(), FetchError> {
        if self.stop.is_cancelled() {
            return Err(FetchError::Stopped);
        }
        let written = self.writer.write_all(&self.buffer);
        self.buffer.clear();
        // The writer itself says no more than "write error".
        written.map_err(|_| self.failure(git2::Error::last_error(-1).into()))
    }

    fn failure(&self, error: FetchError) -> FetchError {
        if self.stop.is_cancelled() { FetchError::Stopped } else { error }
    }
}

fn check_object_count(pack: &[u8]) -> Result<(), FetchError> {
    let Some([b'P', b'A', b'C', b'K', _, _, _, _, a, b, c, d]) = pack.first_chunk::<PACK_HEADER_BYTES>() else {
        return Err(FetchError::Unsupported("what the host sent is not a pack"));
    };
    let objects = u32::from_be_bytes([*a, *b, *c, *d]);
    tracing::Span::current().record("repo.objects", objects);
    if objects > MAX_PACK_OBJECTS {
        return Err(FetchError::TooLarge(TooLarge::Objects(MAX_PACK_OBJECTS)));
    }
    Ok(())
}
