//! I4, I5, I9: what is paid, by the model's own ledger.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::chaos::record::{CallRow, EventRow, ModelRequest, Record, StageRow};

/// The stages that come without a call to the model.
const WITHOUT_CALLS: [&str; 2] = ["snapshot", "sheet"];
/// The failure of an attempt whose answers were of no use.
const UNUSABLE: &str = "model_output_invalid";

/// I4: no request is made again after its answer was stored, unless the stage had to forget what was answered.
pub(super) fn what_is_stored_is_not_paid_again(record: &Record) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    for call in &record.calls {
        for stored_at in answers(record, call).map(|event| event.at) {
            let is_wrong = |asked_at| asked_at > stored_at && !is_forgotten(record, call, stored_at, asked_at);
            for request in requests_of(record, call).filter(|request| is_wrong(request.at)) {
                wrong.insert(format!(
                    "{} {}: stored at {stored_at}, asked again at {}",
                    call.job_id, call.kind, request.at
                ));
            }
        }
    }
    wrong.into_iter().collect()
}

/// Whether an attempt failed in between because its answers came to nothing: the same would come to nothing again.
fn is_forgotten(record: &Record, call: &CallRow, stored_at: DateTime<Utc>, asked_at: DateTime<Utc>) -> bool {
    let events = record.events.get(&call.job_id).into_iter().flatten();
    let mut retries =
        events.filter(|event| event.kind == "job.retrying" && event.data()["failure"]["code"] == UNUSABLE);
    retries.any(|event| stored_at <= event.at && event.at <= asked_at)
}

/// The settlement of the call's own answer: a stage may ask more than one thing.
fn answers<'a>(record: &'a Record, call: &'a CallRow) -> impl Iterator<Item = &'a EventRow> {
    let settled = record.events.get(&call.job_id).into_iter().flatten().filter(|event| event.kind == "call.settled");
    settled.filter(|event| {
        let data = event.data();
        // What failed before it began costs nothing.
        let is_answer = call.cost_nanos.is_some_and(|nanos| nanos > 0) && data["costNanos"] == json!(call.cost_nanos);
        let is_its_own = data["durationMs"] == json!(call.duration_ms);
        is_answer && is_its_own && data["stage"] == *call.kind && data["item"] == *call.item
    })
}

fn requests_of<'a>(record: &'a Record, call: &'a CallRow) -> impl Iterator<Item = &'a ModelRequest> {
    record.requests.iter().filter(|request| request.sha256 == call.request_sha256)
}

/// I5: the requests that were paid more than once are no more than the calls that were cut off.
pub(super) fn repeats_are_bounded(record: &Record) -> Vec<String> {
    let (repeats, bound) = (repeats(record), cut_off(record));
    if repeats > bound { vec![format!("{repeats} calls were paid again; {bound} were cut off")] } else { vec![] }
}

/// The most calls that the faults may have cut off.
fn cut_off(record: &Record) -> usize {
    let in_flight: usize = record.kills.iter().filter(|kill| kill.worker.is_some()).map(|kill| kill.concurrency).sum();
    in_flight + record.expected.broken_streams + record.expected.other_interruptions
}

/// How many paid requests had been paid before.
pub(crate) fn repeats(record: &Record) -> usize {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for request in record.requests.iter().filter(|request| request.cost_nanos > 0) {
        *times.entry(&request.sha256).or_default() += 1;
    }
    times.values().map(|times| times - 1).sum()
}

/// I9: a job's cost is the sum of its settled calls, and with what is still reserved it covers the model's bill. Only calls
/// that were cut off are still reserved, and no stage is finished without a settled call.
pub(super) fn the_books_agree_with_the_bill(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, job) in &record.jobs {
        let calls: Vec<&CallRow> = record.calls.iter().filter(|call| call.job_id == *id).collect();
        let settled: i64 = calls.iter().filter_map(|call| call.cost_nanos).sum();
        if job.cost_nanos != settled {
            wrong.push(format!("{id} cost {} by its row and {settled} by its calls", job.cost_nanos));
        }
        let open: i64 = calls.iter().filter(|call| call.cost_nanos.is_none()).map(|call| call.reserved_nanos).sum();
        let mut requests: Vec<&str> = calls.iter().map(|call| call.request_sha256.as_str()).collect();
        requests.sort_unstable();
        requests.dedup();
        let is_ours = |request: &&ModelRequest| requests.binary_search(&request.sha256.as_str()).is_ok();
        let billed: i64 = record.requests.iter().filter(is_ours).map(|request| request.cost_nanos).sum();
        if billed > settled + open {
            wrong.push(format!("{id} was billed {billed}; settled are {settled}, reserved {open}"));
        }
    }
    let known = |request: &&ModelRequest| record.calls.iter().all(|call| call.request_sha256 != request.sha256);
    let unknown = record.requests.iter().filter(known).count();
    if unknown > 0 {
        wrong.push(format!("the model was asked {unknown} times without a reservation"));
    }
    let (open, bound) = (record.calls.iter().filter(|call| call.cost_nanos.is_none()).count(), cut_off(record));
    if open > bound {
        wrong.push(format!("{open} calls are reserved at rest; {bound} were cut off"));
    }
    let is_paid = |stage: &StageRow| record.calls.iter().any(|call| is_settled(call, stage));
    let finished = record.stages.iter().filter(|stage| stage.is_finished && !WITHOUT_CALLS.contains(&&*stage.kind));
    let unpaid = finished.filter(|stage| !is_paid(stage));
    wrong.extend(unpaid.map(|stage| format!("{} has finished {} without a settled call", stage.job_id, stage.kind)));
    wrong
}

/// Whether an answer to this stage is in the books. What failed before it began costs nothing, and is no answer.
fn is_settled(call: &CallRow, stage: &StageRow) -> bool {
    let is_its_own = (call.job_id, &call.kind, &call.item) == (stage.job_id, &stage.kind, &stage.item);
    is_its_own && call.cost_nanos.is_some_and(|nanos| nanos > 0)
}
