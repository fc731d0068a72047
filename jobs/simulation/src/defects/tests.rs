//! Each mistake is found, by the rule that it breaks.

use super::Defect;
use crate::search::{Search, find};
use crate::watch::Rule;

/// Schedules within which every mistake must have shown itself.
const ENOUGH: u64 = 50_000;

/// Makes a test of each mistake: that the simulation finds it, by this rule, and again from the seed it printed.
macro_rules! finds {
    ($($test:ident: $defect:ident by $rule:ident;)+) => {
        $(#[test]
        fn $test() {
            let search = Search { first_seed: 0, schedules: ENOUGH, defect: Some(Defect::$defect) };
            let found = find(&search).violation.expect("it is found");
            println!("{found}");
            assert_eq!(found.rule, Rule::$rule);
            let again = find(&Search { first_seed: found.seed, schedules: 1, ..search }).violation.expect("found again");
            assert_eq!((again.rule, again.trace), (found.rule, found.trace));
        })+
    };
}

finds! {
    without_the_fence_a_lost_worker_writes: NoFence by OnlyTheNewestLeaseWrites;
    attempts_counted_late_are_too_many: AttemptCountedAfterTheWork by AttemptsAreBounded;
    a_job_that_kills_workers_goes_on_for_ever: LostWorkerNotCounted by LostWorkersAreBounded;
    a_job_ends_twice: EndIsOverwritten by OnlyTheNewestLeaseWrites;
    a_change_is_not_told: EventOutsideTheTransaction by EventsAreDense;
    a_lost_worker_is_told_to_go_on: HeartbeatRevivesALostLease by OnlyTheNewestLeaseIsHeld;
    an_output_is_written_twice: SecondOutputReplacesTheFirst by OutputsAreWrittenOnce;
    a_call_is_counted_twice: SettlingTwiceCountsTwice by CallsAreCountedOnce;
    a_worker_that_came_back_loses_its_job: SweepDoesNotLookAgain by NobodyTakesAHeldJob;
    a_lease_of_an_earlier_run_is_valid_again: RetryResetsTheEpoch by EpochsOnlyGrow;
    a_job_to_be_canceled_goes_on: CanceledJobsAreClaimed by CanceledJobsAreNotClaimed;
    a_finished_stage_is_paid_again: StageIsNotLookedUp by FinishedStagesAreNotPaidAgain;
    answers_are_lost_with_their_worker: NothingIsStoredUntilTheEnd by RepeatsAreBounded;
}
