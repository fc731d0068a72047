//! What must hold whatever happens: each invariant is a function from the record to what is wrong with it.

pub(crate) mod money;
mod outcome;
mod remains;
#[cfg(test)]
mod tests;
mod told;

use super::record::Record;

/// A checker: what is wrong, one line each.
type Check = fn(&Record) -> Vec<String>;

/// The invariants.
pub(crate) const INVARIANTS: [(&str, Check); 11] = [
    ("I1", outcome::every_accepted_job_ends_once),
    ("I2", outcome::nothing_is_invented),
    ("I3", outcome::every_stage_is_written_once_and_every_claim_counted),
    ("I4", money::what_is_stored_is_not_paid_again),
    ("I5", money::repeats_are_bounded),
    ("I6", told::receivers_are_told_all_in_order),
    ("I7", outcome::results_are_those_of_a_run_without_faults),
    ("I8", remains::nothing_is_left_behind),
    ("I9", money::the_books_agree_with_the_bill),
    ("I10", remains::work_goes_on_in_time),
    ("I11", outcome::events_have_no_gap_and_readers_never_go_back),
];

/// What is wrong, by invariant.
pub(crate) fn violations(record: &Record) -> Vec<(&'static str, Vec<String>)> {
    INVARIANTS.iter().map(|(name, check)| (*name, check(record))).collect()
}
