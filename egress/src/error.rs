//! Why a request was not answered, in words that may be shown to anybody.

use std::error::Error;

/// Why a request was not answered: one variant per reaction.
///
/// The texts name no address, port or banner, so that they cannot be used to map a network. The sources can: log them,
/// never show them.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The policy refuses the URL or what its name resolves to. Asking again does not help.
    #[error("{0}")]
    Blocked(Block),
    /// Nothing came in time, neither a connection nor the next bytes.
    #[error("the host did not answer in time")]
    Timeout(#[source] reqwest::Error),
    /// No connection, or it broke off.
    #[error("the host cannot be reached or broke off")]
    Unreachable(#[source] reqwest::Error),
    /// The HTTP client cannot be set up, for example because the machine has no root certificates.
    #[error("the HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
}

/// The rule that refuses a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Block {
    /// Neither https, nor http where that is allowed.
    #[error("only https addresses are allowed")]
    Scheme,
    /// `user:password@`.
    #[error("an address must not carry credentials")]
    Credentials,
    /// No port that this server talks to.
    #[error("the port is not allowed")]
    Port,
    /// The host is internal, not on the list of hosts, or has an address that is not public.
    #[error("the host is not allowed")]
    Host,
}

impl From<reqwest::Error> for EgressError {
    /// Sorts an error of the client, also one that came while a body was read.
    fn from(error: reqwest::Error) -> Self {
        if let Some(block) = find_block(&error) {
            return Self::Blocked(block);
        }
        let error = error.without_url();
        if error.is_timeout() { Self::Timeout(error) } else { Self::Unreachable(error) }
    }
}

fn find_block(error: &reqwest::Error) -> Option<Block> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(block) = cause.downcast_ref::<Block>() {
            return Some(*block);
        }
        source = cause.source();
    }
    None
}
