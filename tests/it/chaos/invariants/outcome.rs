//! I1, I2, I3, I7, I11: what becomes of jobs, and what is told of it.

use std::collections::BTreeSet;

use crate::chaos::record::{EventRow, JobRow, Record};

/// The worker losses after which a job is given up.
const MAX_LOST_WORKERS: usize = 3;

/// I1: every job that was answered 202 is there, and has exactly one end.
pub(super) fn every_accepted_job_ends_once(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for id in record.client.accepted.keys() {
        let Some(job) = record.jobs.get(id) else {
            wrong.push(format!("{id} was accepted and is lost"));
            continue;
        };
        let ends = record.events.get(id).into_iter().flatten().filter(|event| event.is_terminal()).count();
        if ends != 1 {
            wrong.push(format!("{id} is {} and has {ends} ends", job.status));
        }
    }
    wrong
}

/// I2: every job was asked for, once however often it was tried, and each answer to the tries names that job.
pub(super) fn nothing_is_invented(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut prompts = BTreeSet::new();
    for job in record.jobs.values() {
        let prompt = job.prompt();
        if !record.client.asked.contains(&prompt) {
            wrong.push(format!("{} was never asked for", job.id));
        }
        if !prompts.insert(prompt) {
            wrong.push(format!("{} is the second job of one submission", job.id));
        }
    }
    let told = record.client.accepted.iter().filter_map(|(id, prompt)| Some((record.jobs.get(id)?, prompt)));
    wrong.extend(
        told.filter(|(job, prompt)| job.prompt() != **prompt).map(|(job, _)| format!("{} is another's", job.id)),
    );
    for (prompt, id) in &record.client.stored {
        let answers = record.client.accepted.iter().filter(|(_, asked)| *asked == prompt);
        let others = answers.filter(|(answer, _)| *answer != id);
        wrong.extend(others.map(|(other, _)| format!("{id} was stored; who asked again was told {other}")));
        if !record.jobs.contains_key(id) {
            wrong.push(format!("{id} was stored and is lost"));
        }
    }
    wrong
}

/// I3: a stage is finished once, every change is made by the process that holds the job, and no claim is made that is not
/// counted.
pub(super) fn every_stage_is_written_once_and_every_claim_counted(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, job) in &record.jobs {
        let events = record.events.get(id).map(Vec::as_slice).unwrap_or_default();
        let claims = events.iter().filter(|event| event.kind == "job.started").count();
        if i64::try_from(claims) != Ok(job.lease_epoch) {
            wrong.push(format!("{id} was claimed {} times, told of {claims}", job.lease_epoch));
        }
        let mut written = BTreeSet::new();
        for event in events.iter().filter(|event| event.kind == "stage.succeeded") {
            let key = stage_of(event);
            if !written.insert(key.clone()) {
                wrong.push(format!("{id} finished {key:?} twice"));
            }
        }
        let stored: BTreeSet<_> = record
            .stages
            .iter()
            .filter(|stage| stage.job_id == *id && stage.is_finished)
            .map(|stage| (stage.kind.clone(), stage.item.clone()))
            .collect();
        if written != stored {
            wrong.push(format!("{id} tells of {written:?} and holds {stored:?}"));
        }
        wrong.extend(changes_by_others(events).map(|what| format!("{id}: {what}")));
    }
    wrong
}

fn stage_of(event: &EventRow) -> (String, String) {
    let data = event.data();
    let text = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
    (text("stage"), text("item"))
}

/// The changes that a process made while the job was not its own.
fn changes_by_others(events: &[EventRow]) -> impl Iterator<Item = String> {
    let mut holder: Option<&str> = None;
    let mut is_to_be_canceled = false;
    events.iter().filter_map(move |event| {
        let held_by = holder;
        match event.kind.as_str() {
            "job.started" => holder = Some(&event.writer),
            "job.queued" | "job.retrying" => holder = None,
            "job.retried" => is_to_be_canceled = false,
            "job.cancelRequested" => is_to_be_canceled = true,
            _ if event.is_terminal() => holder = None,
            _ => {}
        }
        let is_allowed = match event.kind.as_str() {
            "job.started" => !event.writer.is_empty(),
            "job.queued" if event.seq == 1 => true,
            "job.retried" | "job.cancelRequested" => true,
            // Who waits for a worker is canceled by an API. Whose worker was lost meanwhile, by the sweep of any process.
            "job.canceled" if held_by.is_none() || is_to_be_canceled => true,
            // That the workers were lost is for I7 to say.
            "job.failed" if event.is_poisoned() => held_by.is_some(),
            _ => held_by == Some(&event.writer),
        };
        let holder = held_by.unwrap_or("nobody");
        (!is_allowed).then(|| format!("{} wrote {} {}, {holder} had the job", event.writer, event.kind, event.seq))
    })
}

/// I7: every job has the diff of a run without faults, but for those that must fail; and a job is given up as poisoned
/// only when that many workers were really killed under it.
pub(super) fn results_are_those_of_a_run_without_faults(record: &Record) -> Vec<String> {
    let expected = &record.expected;
    let mut wrong = Vec::new();
    for (id, job) in &record.jobs {
        let code = job.failure_code();
        let is_right = match (expected.failures.get(id), &code) {
            (Some(expected), code) => code.as_deref() == Some(*expected),
            (None, Some(code)) => code == "poisoned" && killed_holders(record, job) >= MAX_LOST_WORKERS,
            (None, None) if expected.canceled.contains(id) => job.status == "canceled",
            (None, None) => job.diff.as_ref() == Some(&expected.diff),
        };
        if !is_right {
            let failure = job.failure.as_deref().unwrap_or_default();
            wrong.push(format!("{id} is {} after {} lost workers: {failure}", job.status, job.rescues));
        }
    }
    wrong
}

/// How many workers were killed that had claimed the job.
fn killed_holders(record: &Record, job: &JobRow) -> usize {
    let events = record.events.get(&job.id).into_iter().flatten();
    let claims = events.filter(|event| event.kind == "job.started");
    let workers: BTreeSet<String> =
        claims.filter_map(|event| Some(event.data()["worker"].as_str()?.to_owned())).collect();
    record.kills.iter().filter_map(|kill| kill.worker.as_ref()).filter(|worker| workers.contains(*worker)).count()
}

/// I11: events are numbered 1, 2, 3, …, the last one's number is the job's version, and no reader saw it go back.
pub(super) fn events_have_no_gap_and_readers_never_go_back(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, job) in &record.jobs {
        let seqs: Vec<i64> = record.events.get(id).into_iter().flatten().map(|event| event.seq).collect();
        if !seqs.iter().copied().eq(1..=job.version) {
            wrong.push(format!("{id} is at version {} and has the events {seqs:?}", job.version));
        }
    }
    for (id, versions) in &record.client.versions {
        if !versions.is_sorted() {
            wrong.push(format!("a reader of {id} saw the versions {versions:?}"));
        }
    }
    wrong
}
