//! Everything that is known when a fault is over: what the client was told, what Postgres holds, what the model was
//! paid for, what the processes left behind.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::client::ClientLog;

/// What the checkers judge. All times are by the clock of this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    pub(crate) client: ClientLog,
    pub(crate) jobs: BTreeMap<Uuid, JobRow>,
    /// The events of each job, by number.
    pub(crate) events: BTreeMap<Uuid, Vec<EventRow>>,
    pub(crate) stages: Vec<StageRow>,
    pub(crate) calls: Vec<CallRow>,
    /// The model's own ledger.
    pub(crate) requests: Vec<ModelRequest>,
    /// What came to the receivers of webhooks, in order.
    pub(crate) messages: Vec<Message>,
    pub(crate) kills: Vec<Kill>,
    /// When the last fault ended.
    pub(crate) last_fault: Option<DateTime<Utc>>,
    pub(crate) leftovers: Leftovers,
    pub(crate) expected: Expected,
}

/// What a fault allows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// The diff of a run without faults.
    pub(crate) diff: Vec<u8>,
    /// Streams of the model that were broken off on purpose: each is paid and asked again.
    pub(crate) broken_streams: usize,
    /// Calls in flight that other faults than kills may have cost: handed back, or taken over.
    pub(crate) other_interruptions: usize,
    /// Jobs that must fail, with the code.
    pub(crate) failures: BTreeMap<Uuid, &'static str>,
    /// Jobs that were canceled by the client.
    pub(crate) canceled: Vec<Uuid>,
    /// From the last fault to the first progress of every open job.
    pub(crate) recovery: Duration,
}

#[derive(Debug, Clone, FromRow)]
pub(crate) struct JobRow {
    pub(crate) id: Uuid,
    /// The spec, as JSON.
    pub(crate) spec: String,
    pub(crate) status: String,
    pub(crate) version: i64,
    pub(crate) rescues: i64,
    pub(crate) lease_epoch: i64,
    pub(crate) cost_nanos: i64,
    pub(crate) diff: Option<Vec<u8>>,
    /// The failure, as JSON.
    pub(crate) failure: Option<String>,
}

#[derive(Debug, Clone, FromRow)]
pub(crate) struct EventRow {
    pub(crate) job_id: Uuid,
    pub(crate) seq: i64,
    pub(crate) kind: String,
    pub(crate) data: String,
    pub(crate) at: DateTime<Utc>,
    /// The process that wrote it, as Postgres knows it.
    pub(crate) writer: String,
}

#[derive(Debug, Clone, FromRow)]
pub(crate) struct StageRow {
    pub(crate) job_id: Uuid,
    pub(crate) kind: String,
    pub(crate) item: String,
    pub(crate) is_finished: bool,
}

#[derive(Debug, Clone, FromRow)]
pub(crate) struct CallRow {
    pub(crate) job_id: Uuid,
    pub(crate) kind: String,
    pub(crate) item: String,
    pub(crate) request_sha256: String,
    pub(crate) reserved_nanos: i64,
    pub(crate) cost_nanos: Option<i64>,
    pub(crate) duration_ms: Option<i64>,
}

/// A request that the model billed.
#[derive(Debug, Clone)]
pub(crate) struct ModelRequest {
    pub(crate) sha256: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) cost_nanos: i64,
}

/// A webhook at its receiver.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// The address it came to.
    pub(crate) url: String,
    /// The same however often it is sent.
    pub(crate) id: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) job_id: Uuid,
    /// The number of the event that it tells of.
    pub(crate) seq: i64,
    pub(crate) is_signed: bool,
}

/// A `kill -9`.
#[derive(Debug, Clone)]
pub(crate) struct Kill {
    pub(crate) at: DateTime<Utc>,
    /// What the killed worker called itself; absent for an API.
    pub(crate) worker: Option<String>,
    /// Jobs that it may have worked on at the same time.
    pub(crate) concurrency: usize,
}

/// What is left when nothing is to be done, and how much may be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leftovers {
    pub(crate) repository_folders: usize,
    pub(crate) child_processes: usize,
    pub(crate) redis_keys: usize,
    pub(crate) redis_entries: usize,
    pub(crate) open_transactions: usize,
    /// Connections to Postgres, and the sizes of all pools together.
    pub(crate) connections: (usize, usize),
    /// Of each process that ran through it all: before and after.
    pub(crate) files: Vec<(usize, usize)>,
    pub(crate) memory_kib: Vec<(usize, usize)>,
}

impl EventRow {
    pub(crate) fn data(&self) -> Value {
        serde_json::from_str(&self.data).expect("events hold JSON")
    }

    pub(crate) fn is_terminal(&self) -> bool {
        ["job.succeeded", "job.failed", "job.canceled"].contains(&self.kind.as_str())
    }

    /// Whether it tells that the job was given up because its workers were lost.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.data()["failure"]["code"] == "poisoned"
    }
}

impl JobRow {
    pub(crate) fn prompt(&self) -> String {
        let spec: Value = serde_json::from_str(&self.spec).expect("specs are JSON");
        spec["prompt"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn failure_code(&self) -> Option<String> {
        let failure: Value = serde_json::from_str(self.failure.as_ref()?).expect("failures are JSON");
        failure["code"].as_str().map(str::to_owned)
    }
}

impl Record {
    /// Reads what Postgres holds. Where its clock was another one, the times are put back to ours.
    pub(crate) async fn read(&mut self, postgres: &mut PgConnection, clocks: &BTreeMap<Uuid, TimeDelta>) {
        let jobs: Vec<JobRow> = sqlx::query_as(
            "SELECT id, spec, status, version, rescues, lease_epoch, cost_nanos, diff, failure FROM jobs ORDER BY id",
        )
        .fetch_all(&mut *postgres)
        .await
        .expect("rows");
        self.jobs = jobs.into_iter().map(|job| (job.id, job)).collect();
        let events: Vec<EventRow> = sqlx::query_as(
            "SELECT job_id, seq, kind, data, at, COALESCE(writer, '') AS writer
             FROM job_events LEFT JOIN event_writers USING (job_id, seq)
             ORDER BY job_id, seq",
        )
        .fetch_all(&mut *postgres)
        .await
        .expect("rows");
        for event in events {
            let at = event.at - clocks.get(&event.job_id).copied().unwrap_or_default();
            self.events.entry(event.job_id).or_default().push(EventRow { at, ..event });
        }
        self.stages = sqlx::query_as("SELECT job_id, kind, item, output IS NOT NULL AS is_finished FROM stages")
            .fetch_all(&mut *postgres)
            .await
            .expect("rows");
        self.calls = sqlx::query_as(
            "SELECT job_id, kind, item, request_sha256, reserved_nanos, cost_nanos, duration_ms FROM model_calls",
        )
        .fetch_all(&mut *postgres)
        .await
        .expect("rows");
    }

    /// The times from each kill of a worker to the next claim of the jobs that it held.
    pub(crate) fn recoveries(&self) -> Vec<TimeDelta> {
        let mut times = Vec::new();
        for events in self.events.values() {
            let starts: Vec<&EventRow> = events.iter().filter(|event| event.kind == "job.started").collect();
            for pair in starts.windows(2) {
                let worker = pair[0].data()["worker"].as_str().unwrap_or_default().to_owned();
                let is_rescue = pair[1].data()["rescues"].as_i64() > pair[0].data()["rescues"].as_i64();
                let kill = self.kills.iter().find(|kill| kill.worker.as_ref() == Some(&worker));
                if let Some(kill) = kill.filter(|_| is_rescue) {
                    times.push(pair[1].at - kill.at);
                }
            }
        }
        times.sort();
        times
    }
}
