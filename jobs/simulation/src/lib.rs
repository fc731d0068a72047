//! The lease protocol under every interleaving that a million schedules come across.
//!
//! Several workers with two slots each work on up to three jobs of one store. A schedule is a random sequence of small
//! steps: a slot claims, loads, reserves, calls the model, settles, stores, ends; its heartbeat beats; a sweep looks, and
//! ends what it found; a client cancels or retries; time passes. In between workers are killed, hang and come back as
//! though nothing had happened, and requests to the store get lost, or their answers. After each step the rules of
//! `watch.rs` must hold. In the second half of a schedule nothing breaks any more: every job must end.
//!
//! The store is a [`Model`]: plain values in place of rows. Two things keep that honest. `jobs/tests/it/drift.rs` plays
//! random sequences of operations to the model and to the real store, on SQLite and on Postgres, and compares every answer
//! and everything there is to see after each one. And `defects.rs` breaks the protocol in one place at a time, the fence
//! first of all, and finds that the simulation notices.
//!
//! A violation names its seed. `TINYGEN_SIMULATION_SEED` runs that one schedule again and prints it step by step; with
//! `TINYGEN_SIMULATION_SCHEDULES` it is the first of so many.
//!
//! A crate of its own, for tests only, because it alone is compiled with optimisation for them.

mod defects;
mod model;
mod random;

#[cfg(test)]
mod search;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod worker;
#[cfg(test)]
mod world;

#[cfg(test)]
mod tests;

pub use defects::Defect;
pub use model::{COST, Claimed, Event, Found, Job, Lease, LeaseLost, Model, RESERVED, Rules, STAGES, Time};
pub use random::Random;
