//! Just enough of two protocols to see where a process is: commits on Postgres' wire, calls on the model's.

use std::collections::HashMap;

use super::tap::{Reader, Sight};

/// How changes begin that come by the clock, so that they cannot be counted: a heartbeat, the sweep's that forgets the names
/// of old requests, and a worker's notes that it lives. Looks that mostly find nothing, for webhooks and old rows, change
/// nothing or only delete.
const BY_THE_CLOCK: [&str; 4] =
    ["UPDATE jobs SET lease_until", "UPDATE jobs SET idempotency_key = NULL", "INSERT INTO workers", "UPDATE workers"];

/// In every statement about the leases of a worker, and in no other.
const ABOUT_LEASES: &str = "(id, lease_epoch) IN (";

/// Postgres' wire (manual, chapter 55): every message but the first is a letter and a length.
#[derive(Default)]
pub(crate) struct PostgresWire {
    asked: Vec<u8>,
    answered: Vec<u8>,
    is_started: bool,
    /// The texts of prepared statements, by name.
    statements: HashMap<String, String>,
    /// The transaction has changed something that does not come by the clock.
    has_worked: bool,
    /// A commit that counts was asked for and is not answered.
    is_committing: bool,
}

impl Reader for PostgresWire {
    fn asked(&mut self, bytes: &[u8]) -> Option<Sight> {
        self.asked.extend(bytes);
        let mut seen = None;
        loop {
            if !self.is_started {
                let length = be_u32(self.asked.get(..4)?);
                self.asked.get(..length)?;
                self.asked.drain(..length);
                self.is_started = true;
                continue;
            }
            let Some((letter, body)) = take_message(&mut self.asked) else { return seen };
            match letter {
                b'Q' => seen = self.run(&text(&body, 0)).or(seen),
                b'P' => {
                    self.statements.insert(text(&body, 0), text(&body, 1));
                }
                b'B' => {
                    let sql = self.statements.get(&text(&body, 1)).cloned().unwrap_or_default();
                    seen = self.run(&sql).or(seen);
                }
                _ => {}
            }
        }
    }

    fn answered(&mut self, bytes: &[u8]) -> Option<Sight> {
        self.answered.extend(bytes);
        let mut seen = None;
        while let Some((letter, body)) = take_message(&mut self.answered) {
            if letter == b'C' && text(&body, 0) == "COMMIT" && std::mem::take(&mut self.is_committing) {
                seen = Some(Sight::CommitAnswered);
            }
        }
        seen
    }

    fn is_heart(&self) -> bool {
        self.statements.values().any(|sql| sql.contains(ABOUT_LEASES))
    }
}

impl PostgresWire {
    fn run(&mut self, sql: &str) -> Option<Sight> {
        match sql {
            "COMMIT" => {
                self.is_committing = std::mem::take(&mut self.has_worked);
                self.is_committing.then_some(Sight::CommitAsked)
            }
            _ if sql.starts_with("BEGIN") || sql == "ROLLBACK" => {
                self.has_worked = false;
                None
            }
            _ => {
                let is_change = sql.contains("INSERT INTO") || sql.starts_with("UPDATE");
                self.has_worked |= is_change && !BY_THE_CLOCK.iter().any(|start| sql.starts_with(start));
                None
            }
        }
    }
}

/// Takes a whole message off the front.
fn take_message(buffer: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let length = be_u32(buffer.get(1..5)?);
    let body = buffer.get(5..=length)?.to_vec();
    let letter = buffer[0];
    buffer.drain(..=length);
    Some((letter, body))
}

fn be_u32(bytes: &[u8]) -> usize {
    let bytes: [u8; 4] = bytes.try_into().expect("four bytes");
    u32::from_be_bytes(bytes) as usize
}

/// The n-th of the texts that a message begins with, each ended by a zero byte.
fn text(body: &[u8], n: usize) -> String {
    body.split(|byte| *byte == 0).nth(n).map(String::from_utf8_lossy).unwrap_or_default().into_owned()
}

/// A protocol in which there is nothing to see.
#[derive(Default)]
pub(crate) struct Unseen;

impl Reader for Unseen {
    fn asked(&mut self, _: &[u8]) -> Option<Sight> {
        None
    }

    fn answered(&mut self, _: &[u8]) -> Option<Sight> {
        None
    }
}

/// The Messages API over HTTP/1.1: a request for an answer begins, an answer ends.
#[derive(Default)]
pub(crate) struct ModelWire {
    is_in_request: bool,
    tail: Vec<u8>,
}

impl Reader for ModelWire {
    fn asked(&mut self, bytes: &[u8]) -> Option<Sight> {
        let is_first = !std::mem::replace(&mut self.is_in_request, true);
        (is_first && bytes.starts_with(b"POST /v1/messages HTTP")).then_some(Sight::CallBegan)
    }

    fn answered(&mut self, bytes: &[u8]) -> Option<Sight> {
        const LAST: &[u8] = b"0\r\n\r\n";
        self.is_in_request = false;
        self.tail.extend(bytes);
        // Events come in pieces as small as a byte, each a chunk of its own; the empty chunk ends the answer.
        let is_end = self.tail.ends_with(LAST);
        let keep_from = self.tail.len().saturating_sub(LAST.len());
        self.tail.drain(..keep_from);
        is_end.then(|| {
            self.tail.clear();
            Sight::AnswerEnded
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(letter: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("short");
        [&[letter][..], &length.to_be_bytes(), body].concat()
    }

    /// Feeds bytes one at a time.
    fn sights(bytes: &[u8], look: impl FnMut(&[u8]) -> Option<Sight>) -> Vec<Sight> {
        bytes.chunks(1).filter_map(look).collect()
    }

    #[test]
    fn sees_commits_but_not_those_of_heartbeats() {
        let mut wire = PostgresWire::default();
        let startup = [&12_u32.to_be_bytes()[..], b"\0\x03\0\0user"].concat();
        let query = |sql: &str| message(b'Q', format!("{sql}\0").as_bytes());
        let change = [message(b'P', b"s1\0UPDATE jobs SET x\0\0\0"), message(b'B', b"\0s1\0\0\0")].concat();
        let begin = query("BEGIN; SELECT clock_timestamp()");
        let work = [startup, begin.clone(), change.clone(), query("COMMIT")].concat();
        assert_eq!(sights(&work, |piece| wire.asked(piece)), [Sight::CommitAsked]);
        let answer = message(b'C', b"COMMIT\0");
        assert_eq!(sights(&answer, |piece| wire.answered(piece)), [Sight::CommitAnswered]);

        let prepare = message(b'P', b"s2\0UPDATE jobs SET lease_until = $3\0\0\0");
        let beat = [begin.clone(), message(b'B', b"\0s2\0\0\0"), query("COMMIT")].concat();
        assert_eq!(sights(&[prepare, beat.clone(), beat].concat(), |piece| wire.asked(piece)), []);
        assert_eq!(sights(&answer, |piece| wire.answered(piece)), []);
        assert!(!wire.is_heart());
        assert_eq!(wire.asked(&message(b'P', b"s3\0SELECT id FROM jobs WHERE (id, lease_epoch) IN (\0\0\0")), None);
        assert!(wire.is_heart());
        let look = [begin.clone(), query("SELECT 1"), query("COMMIT")].concat();
        assert_eq!(sights(&look, |piece| wire.asked(piece)), []);
        let work = [begin.clone(), change, query("COMMIT")].concat();
        assert_eq!(sights(&work, |piece| wire.asked(piece)), [Sight::CommitAsked]);
        let job = query("WITH job AS (INSERT INTO jobs RETURNING id) INSERT INTO job_events SELECT id FROM job");
        let work = [begin, job, query("COMMIT")].concat();
        assert_eq!(sights(&work, |piece| wire.asked(piece)), [Sight::CommitAsked]);
    }

    #[test]
    fn sees_calls_and_the_end_of_answers() {
        let mut wire = ModelWire::default();
        assert_eq!(wire.asked(b"POST /v1/messages HTTP/1.1\r\n"), Some(Sight::CallBegan));
        assert_eq!(wire.asked(b"POST /v1/messages HTTP/1.1 in a body"), None);
        assert_eq!(wire.answered(b"HTTP/1.1 200 OK\r\n\r\n1\r\nx\r\n0\r"), None);
        assert_eq!(wire.answered(b"\n\r\n"), Some(Sight::AnswerEnded));
        assert_eq!(wire.asked(b"POST /v1/messages/count_tokens HTTP/1.1\r\n"), None);
    }
}
