//! I8 and I10: what processes leave behind, and how soon work goes on.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::chaos::record::Record;

/// The bell's list is cut to this.
const MAX_REDIS_ENTRIES: usize = 1_024;
/// Growth of a process that counts as none: a tenth, and the connections of its pool, which come and go.
const SPARE_FILES: usize = 8;
/// The same for memory: a tenth, and what allocators keep of a large answer, which was 4.3 MiB in F7. A process has 20 to
/// 30 MiB (docs/BENCHMARKS.md), and 50 when it is built for tests: none may double.
const SPARE_KIB: usize = 8 << 10;

/// I8: no folder, no process, no transaction is left, and nothing has grown.
pub(super) fn nothing_is_left_behind(record: &Record) -> Vec<String> {
    let left = &record.leftovers;
    let mut wrong = Vec::new();
    let mut at_most = |what: &str, is: usize, allowed: usize| {
        if is > allowed {
            wrong.push(format!("{is} {what}, {allowed} allowed"));
        }
    };
    at_most("folders of repositories", left.repository_folders, 0);
    at_most("child processes", left.child_processes, 0);
    at_most("keys in Redis", left.redis_keys, 1);
    at_most("entries in Redis", left.redis_entries, MAX_REDIS_ENTRIES);
    at_most("transactions that are open and idle", left.open_transactions, 0);
    at_most("connections to Postgres", left.connections.0, left.connections.1);
    for (before, after) in &left.files {
        at_most("open files", *after, before + before / 10 + SPARE_FILES);
    }
    for (before, after) in &left.memory_kib {
        at_most("KiB of memory", *after, before + before / 10 + SPARE_KIB);
    }
    wrong
}

/// I10: every job that was open at the last fault makes progress soon after it, or after the wait that its worker
/// asked for. One that waits for a free worker has its turn after others: then those make progress until it does.
pub(super) fn work_goes_on_in_time(record: &Record) -> Vec<String> {
    let Some(fault) = record.last_fault else { return vec![] };
    let mut wrong = Vec::new();
    for (id, events) in &record.events {
        let was_open = events.iter().all(|event| !event.is_terminal() || event.at > fault);
        let Some(last) = events.iter().rfind(|event| event.at <= fault) else { continue };
        if !was_open {
            continue;
        }
        let wait: Option<DateTime<Utc>> = last.data()["nextAttemptAt"].as_str().and_then(|wait| wait.parse().ok());
        let since = wait.map_or(fault, |wait| fault.max(wait));
        let Some(progress) = events.iter().find(|event| event.at > fault) else {
            wrong.push(format!("{id} never went on after {}", last.kind));
            continue;
        };
        let waits_in_line = ["job.queued", "job.retrying", "job.retried"].contains(&last.kind.as_str());
        let stood_still = if waits_in_line {
            longest_standstill(record, since, progress.at)
        } else {
            (progress.at - since).to_std().unwrap_or_default()
        };
        let allowed = record.expected.recovery;
        if stood_still > allowed {
            wrong.push(format!("{id} went on {stood_still:?} after {}; {allowed:?} are allowed", last.kind));
        }
    }
    wrong
}

/// The longest time in which no job made progress.
fn longest_standstill(record: &Record, since: DateTime<Utc>, until: DateTime<Utc>) -> Duration {
    let events = record.events.values().flatten().map(|event| event.at);
    let mut times: Vec<_> = events.filter(|at| since < *at && *at < until).chain([since, until]).collect();
    times.sort();
    let pauses = times.windows(2).map(|pair| (pair[1] - pair[0]).to_std().unwrap_or_default());
    pauses.max().unwrap_or_default()
}
