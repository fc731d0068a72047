//! What the queue and the journal cost when the work is nothing: jobs drained per second, and time added by each stored
//! stage. `worker::run` in this process; in scale-out with Postgres and Redis of their own.

#[expect(dead_code, reason = "other benches use the rest")]
mod rig;

use std::time::Duration;

use domain::{StageKey, StageKind, StageRecord};
use jobs::{EventKind, Jobs};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use worker::{Work, WorkError, WorkerConfig};

use crate::rig::database::Database;
use crate::rig::{ms, percentile, print_table, result, spec};

const JOBS: usize = 4_800;
const SLOTS: usize = 32;
const ROUNDS: usize = 5;
const STAGES: u32 = 20;
const STAGED_JOBS: usize = 50;
/// A plan, or a set of edits.
const OUTPUT_BYTES: usize = 10 << 10;

#[tokio::main]
async fn main() {
    let (mut drained, mut staged) = (Vec::new(), Vec::new());
    for database in Database::all().await {
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            rates.push(drain(&database).await);
        }
        rates.sort_by(f64::total_cmp);
        let figures = [rates[ROUNDS / 2], rates[0], rates[ROUNDS - 1]].map(|rate| format!("{rate:.0}"));
        drained.push([vec![database.mode.to_owned()], figures.to_vec()].concat());

        let mut times = added_by_stages(&database).await;
        times.sort_unstable();
        let figures = [50, 99].map(|percent| ms(percentile(&times, percent)));
        staged.push([vec![database.mode.to_owned()], figures.to_vec()].concat());
        database.remove().await;
    }
    print_table(
        &format!("Jobs without work, per second ({JOBS} waiting, {SLOTS} slots, {ROUNDS} rounds)"),
        &["mode", "median", "least", "most"],
        &drained,
    );
    print_table(
        &format!("Added by each stored stage, ms (started, looked up, 10 kB stored; {STAGED_JOBS} jobs of {STAGES})"),
        &["mode", "p50", "p99"],
        &staged,
    );
}

/// Fills the queue, then starts the worker: from the first job's start to the last one's end, by the database's clock.
async fn drain(database: &Database) -> f64 {
    let mut submissions = JoinSet::new();
    for _ in 0..SLOTS {
        let jobs = database.jobs.clone();
        submissions.spawn(async move {
            let mut ids = Vec::new();
            for _ in 0..JOBS / SLOTS {
                ids.push(jobs.submit(spec()).await.expect("accepted").id);
            }
            ids
        });
    }
    let ids = submissions.join_all().await.concat();
    let worker = Worker::start(&database.jobs, Work::new(|_, _, _| Box::pin(async { Ok(result()) })));
    // What was put in last ends late: looking at all of them meanwhile would be work for the database.
    database.wait(*ids.last().expect("jobs")).await;
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for id in &ids {
        let job = database.wait(*id).await;
        starts.push(job.started_at.expect("it started"));
        ends.push(job.finished_at.expect("it ended"));
    }
    worker.stop().await;
    let elapsed = *ends.iter().max().expect("jobs") - *starts.iter().min().expect("jobs");
    f64::from(u32::try_from(ids.len()).expect("few")) / elapsed.as_seconds_f64()
}

/// The time of each stage that a job goes through and that does nothing.
async fn added_by_stages(database: &Database) -> Vec<Duration> {
    let work = Work::new(|_, journal, _| {
        Box::pin(async move {
            for number in 0..STAGES {
                let key = StageKey { kind: StageKind::Edit, item: number.to_string() };
                let lost = |_| WorkError::LeaseLost;
                if journal.load_stage(&key).await.map_err(lost)?.is_none() {
                    journal.start_stage(&key).await.map_err(lost)?;
                    let output = "x".repeat(OUTPUT_BYTES).into();
                    let record = StageRecord { key, output };
                    journal.save_stage(&record).await.map_err(lost)?;
                }
            }
            Ok(result())
        })
    });
    let worker = Worker::start(&database.jobs, work);
    let mut times = Vec::new();
    for _ in 0..STAGED_JOBS {
        let id = database.jobs.submit(spec()).await.expect("accepted").id;
        database.wait(id).await;
        let all = database.between(id, EventKind::JobStarted, EventKind::JobSucceeded).await;
        times.push(all / STAGES);
    }
    worker.stop().await;
    times
}

/// A worker on a task of its own.
struct Worker {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), worker::WorkerError>>,
}

impl Worker {
    fn start(jobs: &Jobs, work: Work) -> Self {
        let shutdown = CancellationToken::new();
        let config = WorkerConfig { concurrency: SLOTS, ..WorkerConfig::default() };
        let task = tokio::spawn(worker::run(jobs.clone(), work, config, shutdown.clone()));
        Self { shutdown, task }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("no panic").expect("stopped in order");
    }
}
