//! Why a repository was not fetched, in words that may be shown to the one who asked.

use std::error::Error;
use std::io;
use std::time::Duration;

use domain::FailureCode;
use egress::{Block, EgressError};

use super::WalkError;

/// Why a repository was not fetched: one variant per reaction.
///
/// The texts hold no address, token or text of the remote side; the sources may.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The policy of this server refuses the address, the one a name resolves to, or the one of a redirect.
    #[error("the repository's address is refused: {0}")]
    Blocked(Block),
    /// 404 or 410.
    #[error("there is no repository at this address")]
    NotFound,
    /// 401 or 403 without a token. Hosts answer like this for repositories that do not exist, too.
    #[error(
        "the host wants credentials: the repository does not exist, or it is private and needs a token for its host"
    )]
    AuthRequired,
    /// 401 or 403 with the configured token.
    #[error("the host refused the configured token: the repository does not exist, or the token may not read it")]
    TokenRefused,
    /// There is no commit at all.
    #[error("the repository is empty: it has no commit")]
    Empty,
    /// No branch, tag or commit of that name.
    #[error("the repository has no branch, tag or commit `{0}`")]
    RefNotFound(String),
    /// A bound is passed.
    #[error("the repository is too large: {0}")]
    TooLarge(TooLarge),
    /// The deadline passed, or the host fell silent.
    #[error("the repository was not delivered in time (limit: {} s)", .0.as_secs())]
    TimedOut(Duration),
    /// No connection, or it broke off.
    #[error("the repository's host cannot be reached or broke off")]
    Unreachable(#[source] Option<EgressError>),
    /// The host answered, but did not serve.
    #[error("the repository's host failed to serve it (status {0})")]
    HostFailed(u16),
    /// Something that is not read here.
    #[error("the repository cannot be read: {0}")]
    Unsupported(&'static str),
    /// Git cannot read what was delivered.
    #[error("the repository's objects are damaged or too large to read")]
    Damaged(#[source] Box<dyn Error + Send + Sync>),
    /// Our own disk failed.
    #[error("the server's disk failed while the repository was stored")]
    Disk(#[source] io::Error),
    /// The fetch was given up; nobody waits for this result.
    #[error("the fetch was given up")]
    Stopped,
}

/// The bound that a repository passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// Bytes over the network.
    #[error("more than {0} bytes were delivered")]
    Bytes(u64),
    /// Objects in the pack.
    #[error("it has more than {0} objects")]
    Objects(u32),
    /// Files and folders.
    #[error("it has more than {0} files and folders")]
    Entries(usize),
    /// Levels of folders.
    #[error("its folders are more than {0} levels deep")]
    Depth(usize),
    /// One commit or tag.
    #[error("its commit has more than {0} bytes")]
    Commit(usize),
}

impl FetchError {
    /// The kind of failure that a job ends with.
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Blocked(_) => FailureCode::BlockedAddress,
            Self::NotFound => FailureCode::RepoNotFound,
            Self::AuthRequired | Self::TokenRefused => FailureCode::RepoAuthRequired,
            Self::Empty => FailureCode::RepoEmpty,
            Self::RefNotFound(_) => FailureCode::RefNotFound,
            Self::TooLarge(_) => FailureCode::RepoTooLarge,
            Self::TimedOut(_) => FailureCode::RepoTimeout,
            Self::Unreachable(_) | Self::HostFailed(_) => FailureCode::RepoUnreachable,
            Self::Unsupported(_) | Self::Damaged(_) => FailureCode::RepoUnsupported,
            Self::Disk(_) | Self::Stopped => FailureCode::Internal,
        }
    }

    /// A connection that ended before the answer did.
    pub(crate) fn broke_off() -> Self {
        Self::Unreachable(None)
    }

    pub(crate) fn damaged(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Damaged(error.into())
    }
}

impl From<git2::Error> for FetchError {
    fn from(error: git2::Error) -> Self {
        match error.class() {
            // A full disk, not a bad repository: the next attempt, or another worker, may have more room.
            git2::ErrorClass::Os => Self::Disk(io::Error::other(error)),
            _ => Self::damaged(error),
        }
    }
}

impl From<WalkError> for FetchError {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::TooManyEntries(limit) => Self::TooLarge(TooLarge::Entries(limit)),
            WalkError::TooDeep(limit) => Self::TooLarge(TooLarge::Depth(limit)),
            WalkError::Stopped => Self::Stopped,
            WalkError::Git(error) => Self::damaged(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use git2::{ErrorClass, ErrorCode};

    use super::*;

    #[test]
    fn a_full_disk_is_not_the_repository_s_fault() {
        let code = |class| FetchError::from(git2::Error::new(ErrorCode::GenericError, class, "it failed")).code();
        assert_eq!(code(ErrorClass::Os), FailureCode::Internal);
        assert_eq!(code(ErrorClass::Zlib), FailureCode::RepoUnsupported);
    }
}
