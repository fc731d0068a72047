//! Stand-ins for the network, for the tests and the demo: real servers on loopback that keep the rules of the real
//! ones. They are never the real thing, and say so.

use tokio::net::TcpStream;

pub mod claude;
pub mod git;
pub mod repo;
pub mod webhook_receiver;

/// Sends small pieces at once: without it each would wait some 40 ms for the acknowledgement of the one before.
pub(crate) fn without_delay(stream: &mut TcpStream) {
    // A stand-in that is slow is still right.
    let _ = stream.set_nodelay(true);
}
