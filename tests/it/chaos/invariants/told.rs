//! I6: what the receivers of webhooks are told.

use std::collections::BTreeSet;

use crate::chaos::client::TOLD_OF;
use crate::chaos::record::Record;

/// I6: a job's receiver is told of each event that it asked for, at least once; each for the first time in the order of
/// the events; by messages that are well signed. Nobody else is told.
pub(super) fn receivers_are_told_all_in_order(record: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, job) in &record.jobs {
        let Some(url) = record.client.webhooks.get(&job.prompt()) else { continue };
        let events = record.events.get(id).into_iter().flatten();
        let expected: Vec<i64> =
            events.filter(|event| TOLD_OF.contains(&event.kind.as_str())).map(|event| event.seq).collect();
        let mut seen = BTreeSet::new();
        let messages = record.messages.iter().filter(|message| message.job_id == *id && message.url == *url);
        let told: Vec<i64> = messages.filter(|message| seen.insert(&message.id)).map(|message| message.seq).collect();
        if told != expected {
            wrong.push(format!("{id} has the events {expected:?}; its receiver was told of {told:?}"));
        }
    }
    for message in &record.messages {
        let job = record.jobs.get(&message.job_id);
        let url = job.and_then(|job| record.client.webhooks.get(&job.prompt()));
        if url != Some(&message.url) {
            wrong.push(format!("{} of {} came to {}", message.id, message.job_id, message.url));
        }
        if !message.is_signed {
            wrong.push(format!("{} of {} is not well signed", message.id, message.job_id));
        }
    }
    wrong
}
