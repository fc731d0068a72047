//! What may be edited at all.

use crate::repo::{Entry, FileMode, ReadError, Snapshot};
use crate::text::is_binary;

use super::error::Refusal;

/// Largest file an edit may leave behind.
pub(super) const MAX_FILE_BYTES: usize = 8 << 20;

/// How a pointer to a file in Git LFS begins (git-lfs `docs/spec.md`).
const LFS_POINTER_START: &[u8] = b"version https://git-lfs.github.com/spec/";
/// A longer file is no LFS pointer, whatever it begins with.
const MAX_LFS_POINTER_BYTES: usize = 1024;

/// Reads a file of the base that shall be moved, deleted or changed.
///
/// # Errors
/// [`Refusal`] when it is a submodule or its content is not here: a diff without the content could not be undone.
pub(super) fn read(base: &Snapshot, entry: &Entry) -> Result<Vec<u8>, Refusal> {
    if entry.mode == FileMode::Submodule {
        return Err(Refusal::Submodule);
    }
    base.read(entry.oid).map_err(|error| match error {
        ReadError::Missing(_) | ReadError::TooLarge { .. } | ReadError::Git { .. } => Refusal::Unreadable,
    })
}

/// Whether a file may be given another content or path.
///
/// # Errors
/// [`Refusal`] for what is not a file of text, and for a pointer that stands for another file.
pub(super) fn check_is_plain_file(bytes: &[u8], mode: FileMode) -> Result<(), Refusal> {
    match mode {
        FileMode::Symlink => Err(Refusal::Symlink),
        FileMode::Submodule => Err(Refusal::Submodule),
        FileMode::Regular | FileMode::Executable if is_lfs_pointer(bytes) => Err(Refusal::LfsPointer),
        FileMode::Regular | FileMode::Executable => Ok(()),
    }
}

/// Whether the bytes an edit leaves behind are still a text file of bounded size.
///
/// # Errors
/// [`Refusal`] when they are not.
pub(super) fn check_result(bytes: &[u8]) -> Result<(), Refusal> {
    if is_binary(bytes) {
        return Err(Refusal::BecomesBinary);
    }
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Refusal::TooLarge { max_bytes: MAX_FILE_BYTES });
    }
    Ok(())
}

fn is_lfs_pointer(bytes: &[u8]) -> bool {
    bytes.len() <= MAX_LFS_POINTER_BYTES && bytes.starts_with(LFS_POINTER_START)
}
