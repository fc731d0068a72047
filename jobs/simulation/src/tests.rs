//! The long run.

use std::time::Instant;

use crate::search::{Search, find};

const SEED: &str = "TINYGEN_SIMULATION_SEED";
const SCHEDULES: &str = "TINYGEN_SIMULATION_SCHEDULES";
/// How many schedules, unless the environment says otherwise.
const A_MILLION: u64 = 1_000_000;

#[test]
fn a_million_schedules_keep_every_rule() {
    let seed = variable(SEED);
    let schedules = variable(SCHEDULES).unwrap_or(if seed.is_some() { 1 } else { A_MILLION });
    let begun = Instant::now();
    let outcome = find(&Search { first_seed: seed.unwrap_or(0), schedules, defect: None });
    if let Some(violation) = outcome.violation {
        panic!("{violation}run it alone with {SEED}={}", violation.seed);
    }
    println!("{schedules} schedules in {:.1?}: {:?}", begun.elapsed(), outcome.tally);
    assert_eq!(outcome.schedules, schedules);
    if schedules >= A_MILLION {
        let tally = outcome.tally;
        let met = [tally.crashes, tally.hangs, tally.shutdowns, tally.unheard, tally.refused, tally.rescued];
        let met_less_often = [tally.poisoned, tally.canceled, tally.retried, tally.repeats];
        assert!(met.into_iter().chain(met_less_often).all(|times| times > schedules / 100), "{tally:?}");
    }
}

/// A number from the environment.
fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}
