//! The store and the bell keep their promises, on every database.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bell;
mod changes;
mod conformance;
mod database;
mod drift;
mod hooks;
mod migrations;
mod pair;
mod redis_server;
mod sample;
