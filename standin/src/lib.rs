//! Stand-ins for the network, for tests and demonstrations: real servers on loopback that keep the rules of the real
//! ones. They are never the real thing, and say so.

pub mod claude;
