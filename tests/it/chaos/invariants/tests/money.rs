//! The same for what is paid.

use serde_json::json;

use super::{COST, append, at, events, job, violated};
use crate::chaos::record::{CallRow, ModelRequest, Record};

#[test]
fn i4_reports_a_call_that_is_paid_after_its_answer_was_stored() {
    assert_eq!(violated(|record| record.requests[1].at = at(25)), ["I4"]);
    let asked_more = violated(|record| {
        let nudge = |request: &ModelRequest| ModelRequest { sha256: "nudge".to_owned(), at: at(26), ..request.clone() };
        let request = nudge(&record.requests[1]);
        record.requests.push(request);
        let call = CallRow { request_sha256: "nudge".to_owned(), cost_nanos: None, ..record.calls[0].clone() };
        record.calls.push(call);
        record.kills[0].concurrency = 2;
    });
    assert_eq!(asked_more, Vec::<&str>::new(), "another question in the same stage");
    let retried = |code: &'static str, seconds: i64| {
        violated(|record| {
            record.requests[1].at = at(27);
            append(record, "job.retrying", &json!({"failure": {"code": code}}));
            let events = events(record);
            events[8].at = at(seconds);
            // The end stays the last.
            events.swap(7, 8);
            (events[7].seq, events[8].seq) = (8, 9);
        })
    };
    assert!(!retried("model_output_invalid", 26).contains(&"I4"), "the answer was of no use, and is asked for anew");
    assert!(retried("model_output_invalid", 28).contains(&"I4"), "it was asked for before that");
    assert!(retried("model_output_invalid", 20).contains(&"I4"), "that was another answer");
    assert!(retried("overloaded", 26).contains(&"I4"), "what was answered is there");
}

#[test]
fn i5_reports_more_repeats_than_calls_that_were_cut_off() {
    let paid_again = |record: &mut Record| {
        record.calls[0].reserved_nanos = 2 * COST;
        let again = record.requests[0].clone();
        record.requests.push(again);
    };
    assert_eq!(violated(paid_again), ["I5"]);
    let of_an_api = |record: &mut Record| record.kills[0].worker = None;
    assert_eq!(violated(of_an_api), ["I5", "I9"], "an API has no call in flight");
}

#[test]
fn i9_reports_books_that_do_not_agree() {
    assert_eq!(violated(|record| job(record).cost_nanos += 1), ["I9"]);
    assert_eq!(violated(|record| record.calls[0].reserved_nanos = COST - 1), ["I9"], "the bill is larger");
    let unreserved = |record: &mut Record| record.requests[0].sha256 = "other".to_owned();
    assert_eq!(violated(unreserved), ["I9"]);
    let never_settled = |record: &mut Record| {
        record.calls[1].cost_nanos = None;
        job(record).cost_nanos = 0;
    };
    assert_eq!(violated(never_settled), ["I9"]);
    let cut_off = |record: &mut Record| {
        never_settled(record);
        record.kills[0].concurrency = 2;
    };
    assert_eq!(violated(cut_off), ["I9"], "a finished stage has an answer");
    let one_more = |record: &mut Record| {
        let open = record.calls[0].clone();
        record.calls.push(open);
    };
    assert_eq!(violated(one_more), ["I9"], "nothing has cut it off");
}
