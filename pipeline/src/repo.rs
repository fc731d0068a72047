//! The repository at one commit: fetched over smart HTTP into a bare object database, and never checked out.

mod advertisement;
mod error;
mod fetcher;
mod object_store;
mod packet;
mod protocol_v0;
mod protocol_v2;
mod ref_search;
mod remote;
mod settings;
mod sideband;
mod snapshot;
mod tokens;
mod walk;

pub use error::{FetchError, TooLarge};
pub use fetcher::{FetchLimits, Fetcher};
pub use snapshot::{Entry, FileMode, ReadError, Snapshot, SnapshotLimits};
pub use tokens::{HostTokens, TokenHostError};
pub use walk::WalkError;
