//! The one way out: which addresses this server talks to, and the guarded HTTP client that everything uses.
//!
//! A URL passes two gates. [`Egress::check`] judges what is written in it, without any name lookup. Then, when a
//! connection is opened, the resolver judges every address the name has *and hands exactly those to the connector*, so
//! that there is no gap between check and use. Addresses written as literals never reach a resolver, which is why the
//! first gate runs on every URL, each hop of a redirect included.

mod address;
mod client;
mod error;
mod host;
mod operator;
mod policy;
mod post;
mod resolver;

pub use address::{is_metadata_service, is_public};
pub use client::{Egress, Purpose};
pub use error::{Block, EgressError};
pub use operator::operator_client;
pub use policy::EgressPolicy;
pub use post::{Post, PostAnswer};
