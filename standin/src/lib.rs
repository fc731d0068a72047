//! Stand-ins for the network: what tests and the demo talk to instead of the real services.

pub mod git;
pub mod repo;
