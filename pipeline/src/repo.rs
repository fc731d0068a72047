//! The repository at one commit, read from a bare object database; never checked out.

mod snapshot;

pub use snapshot::{Entry, FileMode, ReadError, Snapshot, SnapshotLimits, WalkError};
