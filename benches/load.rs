//! Many jobs against a model that takes its time: a thousand at once in one worker, and one to eight workers side by side.

#[path = "../tests/it/app.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod app;
#[expect(dead_code, reason = "other benches use the rest")]
mod rig;

use std::time::{Duration, Instant};

use domain::{JobId, JobStatus};
use standin::claude::{Reply, RequestView};
use tokio::time::sleep;

use crate::app::{Process, World, diligent};
use crate::rig::process::{memory_kib, mib};
use crate::rig::{Database, ms, print_table};

const AT_ONCE: usize = 1_000;
/// So long that all of them are at it before the first one is answered.
const LONG_THOUGHT: Duration = Duration::from_mins(1);
const WORKERS: [usize; 4] = [1, 2, 4, 8];
const SLOTS: usize = 4;
const JOBS_PER_SLOT: usize = 4;
/// Three of them make a job: the processor has little to do meanwhile, even for eight workers.
const SHORT_THOUGHT: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() {
    if let Some(database) = Database::scale_out().await {
        all_at_once(&database).await;
        database.remove().await;
    }
    let mut rows = Vec::new();
    for workers in WORKERS {
        let Some(database) = Database::scale_out().await else { return };
        rows.push(side_by_side(&database, workers).await);
        database.remove().await;
    }
    let title =
        format!("Workers side by side, {SLOTS} slots each, a model that takes {SHORT_THOUGHT:?} for each of 3 calls");
    print_table(&title, &["workers", "jobs", "seconds", "jobs/min", "of the ideal, %"], &rows);
}

/// One worker with a slot for every job: the first answer comes when all have asked.
async fn all_at_once(database: &Database) {
    let world = World::new(|request: &RequestView| {
        let is_first = request.first_text().contains("This is the analysis pass");
        diligent(request).after(if is_first { LONG_THOUGHT } else { Duration::ZERO })
    })
    .await;
    let ids = submit(database, &world, AT_ONCE).await;
    let worker = start_worker(&world, database, AT_ONCE).await;
    let idle_kib = memory_kib(worker.pid(), "VmRSS");
    let begun = Instant::now();
    let mut most = 0;
    while most < AT_ONCE && begun.elapsed() < LONG_THOUGHT {
        most = most.max(world.generations());
        sleep(Duration::from_millis(100)).await;
    }
    let (asked_after, busy_kib) = (begun.elapsed(), memory_kib(worker.pid(), "VmRSS"));
    all_succeed(database, &ids).await;
    let row = vec![
        AT_ONCE.to_string(),
        most.min(AT_ONCE).to_string(),
        ms(asked_after),
        format!("{:.1}", begun.elapsed().as_secs_f64()),
        mib(idle_kib),
        mib(busy_kib),
        mib(memory_kib(worker.pid(), "VmHWM")),
    ];
    worker.terminate().await;
    let header = [
        "jobs, all succeeded",
        "waiting for the model at once",
        "until then, ms",
        "until the end, s",
        "idle, MiB",
        "then, MiB",
        "most, MiB",
    ];
    print_table(&format!("One worker with {AT_ONCE} slots, a model that takes {LONG_THOUGHT:?}"), &header, &[row]);
}

/// From the start of the first attempt to the end of the last job, by the database's clock.
async fn side_by_side(database: &Database, workers: usize) -> Vec<String> {
    let world = World::new(|request: &RequestView| -> Reply { diligent(request).after(SHORT_THOUGHT) }).await;
    let count = workers * SLOTS * JOBS_PER_SLOT;
    let mut processes = Vec::new();
    for _ in 0..workers {
        processes.push(start_worker(&world, database, SLOTS).await);
    }
    let ids = submit(database, &world, count).await;
    let seconds = all_succeed(database, &ids).await.as_secs_f64();
    for process in processes {
        process.terminate().await;
    }
    let ideal = SHORT_THOUGHT.as_secs_f64() * 3.0 * f64::from(u32::try_from(JOBS_PER_SLOT).expect("few"));
    let jobs_per_minute = f64::from(u32::try_from(count).expect("few")) / seconds * 60.0;
    vec![
        workers.to_string(),
        count.to_string(),
        format!("{seconds:.1}"),
        format!("{jobs_per_minute:.0}"),
        format!("{:.0}", ideal / seconds * 100.0),
    ]
}

async fn start_worker(world: &World, database: &Database, slots: usize) -> Process {
    let variables = [database.variables.clone(), vec![("TINYGEN_CONCURRENCY", slots.to_string())]].concat();
    world.start("worker", &variables, "Working").await.0
}

async fn submit(database: &Database, world: &World, count: usize) -> Vec<JobId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(database.jobs.submit(rig::spec_for(&world.repo_url)).await.expect("accepted").id);
    }
    ids
}

/// Gives the time from the first start to the last end.
async fn all_succeed(database: &Database, ids: &[JobId]) -> Duration {
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for id in ids {
        let job = database.wait(*id).await;
        assert_eq!((job.status, job.attempt), (JobStatus::Succeeded, 1), "{:?}", job.failure);
        starts.extend(job.started_at);
        ends.extend(job.finished_at);
    }
    let (first, last) = (starts.iter().min().expect("jobs"), ends.iter().max().expect("jobs"));
    (*last - *first).to_std().expect("in this order")
}
