//! The rules of egress against the URL fixture and the IANA registries.

mod special_blocks;
mod urls;
