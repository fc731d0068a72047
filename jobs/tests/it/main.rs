//! The store keeps its promises, on every database.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod database;
mod sample;
