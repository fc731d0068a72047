//! Runs schedules on all cores until one breaks a rule.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{available_parallelism, scope};

use super::defects::Defect;
use super::watch::Rule;
use super::world::{Tally, World};

/// Schedules that a thread takes at once.
const BATCH: u64 = 500;

/// Which schedules to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search {
    pub(crate) first_seed: u64,
    pub(crate) schedules: u64,
    pub(crate) defect: Option<Defect>,
}

/// What the schedules came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) schedules: u64,
    pub(crate) tally: Tally,
    /// The one with the smallest seed.
    pub(crate) violation: Option<Violation>,
}

/// A schedule that broke a rule.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) seed: u64,
    pub(crate) rule: Rule,
    pub(crate) trace: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the schedule of seed {} breaks the rule {:?}:", self.seed, self.rule)?;
        self.trace.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Runs the schedules. The first violation by seed is run again to tell what happened.
pub(crate) fn find(search: &Search) -> Outcome {
    let next = AtomicU64::new(search.first_seed);
    let threads = available_parallelism().map_or(2, std::num::NonZero::get);
    let outcomes = scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| run_batches(search, &next))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no schedule panics")).collect::<Vec<_>>()
    });
    let mut sum = Outcome::default();
    let mut broken = None;
    for (outcome, seed) in outcomes {
        sum.schedules += outcome.schedules;
        sum.tally.add(&outcome.tally);
        broken = [broken, seed].into_iter().flatten().min();
    }
    sum.violation = broken.map(|seed| retrace(seed, search.defect));
    sum
}

/// Takes batch after batch, until there is none or one of its schedules breaks a rule: smaller seeds are then in batches
/// that were taken before.
fn run_batches(search: &Search, next: &AtomicU64) -> (Outcome, Option<u64>) {
    let mut sum = Outcome::default();
    let end = search.first_seed + search.schedules;
    loop {
        let first = next.fetch_add(BATCH, Ordering::Relaxed);
        if first >= end {
            return (sum, None);
        }
        for seed in first..end.min(first + BATCH) {
            let mut world = World::new(seed, search.defect, false);
            let outcome = world.run();
            sum.schedules += 1;
            sum.tally.add(&world.tally);
            if outcome.is_err() {
                next.store(end, Ordering::Relaxed);
                return (sum, Some(seed));
            }
        }
    }
}

fn retrace(seed: u64, defect: Option<Defect>) -> Violation {
    let mut world = World::new(seed, defect, true);
    let rule = world.run().expect_err("the same schedule breaks the same rule");
    Violation { seed, rule, trace: world.into_trace() }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.crashes += other.crashes;
        self.hangs += other.hangs;
        self.shutdowns += other.shutdowns;
        self.unheard += other.unheard;
        self.refused += other.refused;
        self.rescued += other.rescued;
        self.poisoned += other.poisoned;
        self.canceled += other.canceled;
        self.retried += other.retried;
        self.repeats += other.repeats;
    }
}
