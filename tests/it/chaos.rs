//! The fault suite: real processes on real services, and everything taken away from them that can be lost.
//!
//! No product code knows of it. The taps (`tap`, `wire`) and the stand-ins know where a process is, and kill it there;
//! `record` collects what the client was told, what Postgres holds and what the model billed; `invariants` says what is
//! wrong with that. Faults are numbered as in docs/RELIABILITY.md. `make chaos` runs all of them in full; some run small
//! in every test run.

mod client;
mod faults;
mod invariants;
mod node;
mod postgres;
mod receivers;
mod record;
mod report;
mod rig;
pub(crate) mod tap;
pub(crate) mod wire;

/// Set by `scripts/chaos`: the long runs.
const FULL: &str = "TINYGEN_CHAOS_FULL";
/// Repeats the random choices of another run.
const SEED: &str = "TINYGEN_CHAOS_SEED";

/// One number or the other: for a run among all tests, and for `make chaos`.
fn sized<N>(small: N, full: N) -> N {
    if std::env::var_os(FULL).is_some() { full } else { small }
}

fn seed() -> u64 {
    std::env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().expect("a seed is a number"))
}
