//! Stand-ins for the network, for the tests and the demo: real servers on loopback that keep the rules of the real
//! ones. They are never the real thing, and say so.

pub mod claude;
pub mod git;
pub mod repo;
