//! One line of the table for each fault: `scripts/chaos` puts the lines together.

use std::fs;
use std::path::Path;

use chrono::TimeDelta;

use super::invariants::{self, money};
use super::record::Record;

/// The folder of the lines, set by `scripts/chaos`.
const FOLDER: &str = "TINYGEN_CHAOS_REPORT";

/// What a fault came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) fault: &'static str,
    pub(crate) what: &'static str,
    pub(crate) rounds: usize,
    pub(crate) record: Record,
}

impl Outcome {
    /// Writes the line, and fails when an invariant is violated.
    pub(crate) fn judge(&self) {
        let violations = invariants::violations(&self.record);
        let line = self.line(&violations);
        println!("{line}");
        if let Some(folder) = std::env::var_os(FOLDER) {
            fs::write(Path::new(&folder).join(format!("{}.md", self.fault)), format!("{line}\n")).expect("written");
        }
        let wrong: Vec<String> = violations
            .iter()
            .flat_map(|(name, wrong)| wrong.iter().take(10).map(move |what| format!("{name}: {what}")))
            .collect();
        assert!(wrong.is_empty(), "{} {}:\n{}", self.fault, self.what, wrong.join("\n"));
    }

    /// Fault, rounds, kills of workers and of APIs, jobs, poisoned, paid again, recovery, violations by invariant.
    fn line(&self, violations: &[(&str, Vec<String>)]) -> String {
        let record = &self.record;
        let of_workers = record.kills.iter().filter(|kill| kill.worker.is_some()).count();
        let poisoned = record.jobs.values().filter(|job| job.failure_code().as_deref() == Some("poisoned")).count();
        let recoveries = record.recoveries();
        let mut cells = vec![self.fault.to_owned(), self.what.to_owned()];
        let numbers = [
            self.rounds,
            of_workers,
            record.kills.len() - of_workers,
            record.jobs.len(),
            poisoned,
            money::repeats(record),
        ];
        cells.extend(numbers.map(|number| number.to_string()));
        cells.push(seconds(percentile(&recoveries, 50)));
        cells.push(seconds(percentile(&recoveries, 99)));
        let violated = violations.iter().filter(|(_, wrong)| !wrong.is_empty());
        let violated: Vec<String> = violated.map(|(name, wrong)| format!("{name}: {}", wrong.len())).collect();
        cells.push(if violated.is_empty() { "0".to_owned() } else { violated.join(", ") });
        format!("| {} |", cells.join(" | "))
    }
}

/// The value that so many percent of all are not above (nearest rank).
fn percentile(sorted: &[TimeDelta], percent: usize) -> Option<TimeDelta> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[expect(clippy::cast_precision_loss, reason = "seconds with one digit")]
fn seconds(time: Option<TimeDelta>) -> String {
    time.map_or("–".to_owned(), |time| format!("{:.1}", time.num_milliseconds() as f64 / 1_000.0))
}

#[test]
fn percentiles_are_values_that_occurred() {
    let times: Vec<TimeDelta> = (1..=200).map(TimeDelta::seconds).collect();
    assert_eq!(percentile(&times, 50), Some(TimeDelta::seconds(100)));
    assert_eq!(percentile(&times, 99), Some(TimeDelta::seconds(198)));
    assert_eq!(percentile(&times[..1], 99), Some(TimeDelta::seconds(1)));
    assert_eq!(percentile(&[], 50), None);
}
