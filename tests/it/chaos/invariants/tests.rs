//! Every checker reports what it is there for: a good record is spoiled in one way, and exactly that invariant fails.

mod money;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use super::violations;
use crate::chaos::client::ClientLog;
use crate::chaos::record::{
    CallRow, EventRow, Expected, JobRow, Kill, Leftovers, Message, ModelRequest, Record, StageRow,
};

const COST: i64 = 70;
const RECEIVER: &str = "http://127.0.0.1:1/";

/// Seconds after the start of the record.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// An event of the job below, by the process that has the job then.
fn event(seq: i64, seconds: i64, kind: &str, data: &serde_json::Value) -> EventRow {
    let writer = match seq {
        1 => "001-api",
        2..4 => "002-worker",
        _ => "003-worker",
    };
    let (kind, data, writer) = (kind.to_owned(), data.to_string(), writer.to_owned());
    EventRow { job_id: Uuid::nil(), seq, kind, data, at: at(seconds), writer }
}

fn started(seq: i64, seconds: i64, worker: &str, rescues: i64) -> EventRow {
    event(seq, seconds, "job.started", &json!({"worker": worker, "rescues": rescues}))
}

fn message(seq: i64) -> Message {
    let (url, id) = (RECEIVER.to_owned(), format!("msg_{seq}"));
    Message { url, id, at: at(seq), job_id: Uuid::nil(), seq, is_signed: true }
}

/// One job, whose first worker was killed in its call: it is asked again, answered, stored, and succeeds.
fn good() -> Record {
    let prompt = "Request 1.".to_owned();
    let settled = json!({"stage": "plan", "item": "", "costNanos": COST, "durationMs": 1_900});
    let events = vec![
        event(1, 0, "job.queued", &json!({})),
        started(2, 1, "first", 0),
        event(3, 2, "stage.started", &json!({"stage": "plan", "item": ""})),
        started(4, 20, "second", 1),
        event(5, 21, "stage.started", &json!({"stage": "plan", "item": ""})),
        event(6, 24, "call.settled", &settled),
        event(7, 25, "stage.succeeded", &json!({"stage": "plan", "item": ""})),
        event(8, 26, "job.succeeded", &json!({})),
    ];
    let call = |cost_nanos| CallRow {
        job_id: Uuid::nil(),
        kind: "plan".to_owned(),
        item: String::new(),
        request_sha256: "plan".to_owned(),
        reserved_nanos: 100,
        cost_nanos,
        duration_ms: cost_nanos.map(|_| 1_900),
    };
    let request = |seconds| ModelRequest { sha256: "plan".to_owned(), at: at(seconds), cost_nanos: COST };
    let job = JobRow {
        id: Uuid::nil(),
        spec: json!({"prompt": prompt}).to_string(),
        status: "succeeded".to_owned(),
        version: 8,
        rescues: 1,
        lease_epoch: 2,
        cost_nanos: COST,
        diff: Some(b"diff".to_vec()),
        failure: None,
    };
    Record {
        client: ClientLog {
            asked: [prompt.clone()].into(),
            webhooks: BTreeMap::new(),
            stored: [(prompt.clone(), Uuid::nil())].into(),
            accepted: [(Uuid::nil(), prompt)].into(),
            refusals: vec![503],
            versions: [(Uuid::nil(), vec![1, 3, 3, 8])].into(),
        },
        jobs: [(Uuid::nil(), job)].into(),
        events: [(Uuid::nil(), events)].into(),
        stages: vec![StageRow { job_id: Uuid::nil(), kind: "plan".to_owned(), item: String::new(), is_finished: true }],
        calls: vec![call(None), call(Some(COST))],
        requests: vec![request(3), request(22)],
        messages: vec![],
        kills: vec![Kill { at: at(4), worker: Some("first".to_owned()), concurrency: 1 }],
        last_fault: Some(at(4)),
        leftovers: Leftovers {
            connections: (9, 10),
            files: vec![(100, 110)],
            memory_kib: vec![(1_000, 1_100)],
            ..Leftovers::default()
        },
        expected: Expected { diff: b"diff".to_vec(), recovery: Duration::from_secs(20), ..Expected::default() },
    }
}

/// The invariants that are violated by a record spoiled in one way.
fn violated(spoil: impl FnOnce(&mut Record)) -> Vec<&'static str> {
    let mut record = good();
    spoil(&mut record);
    violations(&record).into_iter().filter(|(_, wrong)| !wrong.is_empty()).map(|(name, _)| name).collect()
}

fn job(record: &mut Record) -> &mut JobRow {
    record.jobs.get_mut(&Uuid::nil()).expect("the job")
}

fn events(record: &mut Record) -> &mut Vec<EventRow> {
    record.events.get_mut(&Uuid::nil()).expect("the job")
}

/// Adds an event as the product would, with the next number.
fn append(record: &mut Record, kind: &str, data: &serde_json::Value) {
    let seq = job(record).version + 1;
    job(record).version = seq;
    events(record).push(event(seq, 30, kind, data));
}

#[test]
fn a_good_record_is_good() {
    assert_eq!(violated(|_| ()), Vec::<&str>::new());
    let recoveries = good().recoveries();
    assert_eq!(recoveries, [TimeDelta::seconds(16)]);
}

#[test]
fn i1_reports_a_job_that_is_lost_and_one_that_ends_twice_or_never() {
    assert!(violated(|record| record.jobs = BTreeMap::new()).contains(&"I1"));
    assert_eq!(violated(|record| append(record, "job.canceled", &json!({}))), ["I1"]);
    assert_eq!(violated(|record| events(record)[7].kind = "stage.started".to_owned()), ["I1"]);
}

#[test]
fn i2_reports_a_job_that_nobody_asked_for_and_one_made_twice() {
    assert_eq!(violated(|record| record.client.asked.clear()), ["I2"]);
    let doubled = violated(|record| {
        let (id, twin) = (Uuid::from_u128(1), JobRow { id: Uuid::from_u128(1), cost_nanos: 0, ..job(record).clone() });
        let events = events(record).iter().filter(|event| event.kind != "stage.succeeded").cloned();
        let events = events.zip(1..).map(|(event, seq)| EventRow { job_id: id, seq, ..event }).collect();
        record.jobs.insert(id, JobRow { version: 7, ..twin });
        record.events.insert(id, events);
    });
    assert_eq!(doubled, ["I2"]);
    let swapped = |record: &mut Record| {
        record.client.asked.insert("Request 2.".to_owned());
        record.client.accepted.insert(Uuid::nil(), "Request 2.".to_owned());
    };
    assert_eq!(violated(swapped), ["I2"]);
}

#[test]
fn i2_reports_an_answer_that_names_another_job_than_the_one_that_was_stored() {
    let stored = |record: &mut Record, id: Uuid| record.client.stored.values_mut().for_each(|stored| *stored = id);
    assert_eq!(violated(|record| stored(record, Uuid::max())), ["I2"]);
    let unanswered = violated(|record| {
        record.client.accepted.clear();
        stored(record, Uuid::max());
    });
    assert_eq!(unanswered, ["I2"], "what was stored is lost");
}

#[test]
fn i3_reports_a_stage_written_twice_and_a_claim_not_told() {
    let again = json!({"stage": "plan", "item": ""});
    assert_eq!(violated(|record| events(record)[4] = event(5, 21, "stage.succeeded", &again)), ["I3"]);
    assert_eq!(violated(|record| record.stages.clear()), ["I3"]);
    assert_eq!(violated(|record| job(record).lease_epoch = 3), ["I3"]);
}

#[test]
fn i3_reports_a_change_by_a_process_that_does_not_have_the_job() {
    let unheld = violated(|record| {
        job(record).lease_epoch = 1;
        let by_its_worker = EventRow { writer: "002-worker".to_owned(), ..event(4, 20, "job.retrying", &json!({})) };
        events(record)[3] = by_its_worker;
    });
    assert_eq!(unheld, ["I3"], "nobody has it any more");
    for seq in 5..=8 {
        for writer in ["002-worker", "001-api", ""] {
            let by_another = violated(|record| events(record)[seq - 1].writer = writer.to_owned());
            assert_eq!(by_another, ["I3"], "{writer} writes {seq}");
        }
    }
    assert_eq!(violated(|record| events(record)[3].writer.clear()), ["I3"], "nobody knows who has it");
    let ends = |kind: &str, code: &str, writer: &str| {
        violated(|record| {
            let data = json!({"failure": {"code": code}});
            events(record)[7] = EventRow { writer: writer.to_owned(), ..event(8, 26, kind, &data) };
        })
    };
    assert_eq!(ends("job.failed", "internal", "003-worker"), Vec::<&str>::new());
    assert_eq!(ends("job.failed", "internal", "002-worker"), ["I3"]);
    assert_eq!(ends("job.failed", "poisoned", "004-worker"), Vec::<&str>::new(), "any process may sweep");
    assert_eq!(ends("job.canceled", "", "001-api"), ["I3"], "its worker must be asked");
    let canceled = violated(|record| {
        events(record)[6] = event(7, 25, "job.cancelRequested", &json!({}));
        events(record)[7] = EventRow { writer: "004-api".to_owned(), ..event(8, 26, "job.canceled", &json!({})) };
        record.stages[0].is_finished = false;
    });
    assert_eq!(canceled, Vec::<&str>::new(), "it was asked, and lost");
}

#[test]
fn i6_reports_a_message_that_is_missing_late_forged_or_for_somebody_else() {
    let violated = |spoil: fn(&mut Record)| {
        violated(|record| {
            let prompt = job(record).prompt();
            record.client.webhooks.insert(prompt, RECEIVER.to_owned());
            // The second one comes twice.
            record.messages = [2, 4, 4, 7, 8].map(message).into();
            spoil(record);
        })
    };
    assert_eq!(violated(|_| ()), Vec::<&str>::new());
    let missing = |record: &mut Record| {
        record.messages.remove(0);
    };
    assert_eq!(violated(missing), ["I6"]);
    assert_eq!(violated(|record| record.messages.swap(3, 4)), ["I6"]);
    assert_eq!(violated(|record| record.messages.push(message(5))), ["I6"], "nobody asked for it");
    assert_eq!(violated(|record| record.messages[2].id = "msg_new".to_owned()), ["I6"], "it is sent under another id");
    assert_eq!(violated(|record| record.messages[1].is_signed = false), ["I6"]);
    assert_eq!(violated(|record| record.messages[1].url = "http://127.0.0.1:2/".to_owned()), ["I6"]);
    assert_eq!(violated(|record| record.messages[1].job_id = Uuid::max()), ["I6"]);
}

#[test]
fn i7_reports_another_result_and_a_failure_without_cause() {
    assert_eq!(violated(|record| job(record).diff = Some(b"other".to_vec())), ["I7"]);
    assert_eq!(violated(|record| job(record).diff = None), ["I7"]);
    let poisoned = |record: &mut Record| {
        job(record).failure = Some(json!({"code": "poisoned"}).to_string());
    };
    assert_eq!(violated(poisoned), ["I7"], "one kill is not three");
    let must_fail = |record: &mut Record| {
        record.expected.failures.insert(Uuid::nil(), "repo_not_found");
    };
    assert_eq!(violated(must_fail), ["I7"]);
    assert_eq!(violated(|record| record.expected.canceled.push(Uuid::nil())), ["I7"]);
}

#[test]
fn i8_reports_everything_that_is_left() {
    let left: [fn(&mut Leftovers); 8] = [
        |left| left.repository_folders = 1,
        |left| left.child_processes = 1,
        |left| left.redis_keys = 2,
        |left| left.redis_entries = 1_025,
        |left| left.open_transactions = 1,
        |left| left.connections.0 = 11,
        |left| left.files.push((100, 119)),
        // It has doubled.
        |left| left.memory_kib.push((25 << 10, 50 << 10)),
    ];
    for leave in left {
        assert_eq!(violated(|record| leave(&mut record.leftovers)), ["I8"]);
    }
}

#[test]
fn i10_reports_work_that_goes_on_too_late_or_never() {
    assert_eq!(violated(|record| record.last_fault = Some(at(3))), Vec::<&str>::new());
    assert_eq!(violated(|record| record.expected.recovery = Duration::from_secs(15)), ["I10"]);
    let stuck = violated(|record| events(record).truncate(3));
    assert!(stuck.contains(&"I10"), "{stuck:?}");
    let waits = |record: &mut Record| {
        record.expected.recovery = Duration::from_secs(15);
        let wait = json!({"stage": "plan", "nextAttemptAt": at(6)});
        events(record)[2] = event(3, 2, "stage.started", &wait);
    };
    assert_eq!(violated(waits), Vec::<&str>::new(), "the worker asked for the wait");

    // The job is queued from 0 s on and is claimed at 30 s.
    let in_line = |others: &'static [i64]| {
        violated(|record| {
            record.last_fault = Some(at(1));
            for (seconds, event) in [30, 31, 32, 33, 34, 35, 36].into_iter().zip(&mut events(record)[1..]) {
                event.at = at(seconds);
            }
            let others = others.iter().map(|seconds| event(1, *seconds, "stage.started", &json!({})));
            record.events.insert(Uuid::max(), others.collect());
        })
    };
    assert!(!in_line(&[0, 15, 29]).contains(&"I10"), "others are at work");
    assert!(in_line(&[0, 2]).contains(&"I10"), "nobody is");
}

#[test]
fn i11_reports_a_gap_and_a_reader_that_goes_back() {
    assert_eq!(violated(|record| events(record)[4].seq = 9), ["I11"]);
    assert_eq!(violated(|record| job(record).version = 9), ["I11"]);
    assert_eq!(violated(|record| record.client.versions = [(Uuid::nil(), vec![3, 1])].into()), ["I11"]);
}
