//! Many jobs against a model that takes its time: a thousand at once in one worker, and one to eight workers side by side.
//!
//! The stand-ins of model and Git host run in this process, and share the processors with the workers: how much of them both
//! used stands in the table.

#[expect(dead_code, reason = "other benches use the rest")]
mod rig;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::{JobId, JobStatus};
use standin::claude::{Reply, RequestView};
use tokio::time::sleep;

use crate::rig::app::{Process, World, diligent};
use crate::rig::database::Database;
use crate::rig::process::{cpu, memory_kib, mib, own_cpu, percent_of};
use crate::rig::{ms, print_table, spec_for};

const AT_ONCE: usize = 1_000;
/// So long that all of them are at it before the first one is answered.
const LONG_THOUGHT: Duration = Duration::from_mins(2);
const WORKERS: [usize; 4] = [1, 2, 4, 8];
const SLOTS: usize = 4;
const JOBS_PER_SLOT: usize = 4;
/// Three of them make a job: the processor has little to do meanwhile, even for eight workers.
const SHORT_THOUGHT: Duration = Duration::from_secs(2);
const CALLS: u32 = 3;

#[tokio::main]
async fn main() {
    rlimit::increase_nofile_limit(8 * AT_ONCE as u64).expect("a limit");
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
    let title = format!(
        "Workers side by side, {SLOTS} slots each, a model that takes {SHORT_THOUGHT:?} for each of {CALLS} calls; the \
         ideal is that nothing else takes time"
    );
    let header = [
        "workers",
        "jobs, all succeeded",
        "attempts",
        "seconds",
        "jobs/min",
        "ideal",
        "of the ideal, %",
        "workers, % of a processor",
        "stand-ins, %",
    ];
    print_table(&title, &header, &rows);
}

/// One worker with a slot for every job: the first answer comes when all have asked.
async fn all_at_once(database: &Database) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let world = World::new(move |request: &RequestView| {
        let is_first = request.first_text().contains("This is the analysis pass");
        count.fetch_add(usize::from(is_first), Ordering::Relaxed);
        diligent(request).after(if is_first { LONG_THOUGHT } else { Duration::ZERO })
    })
    .await;
    let ids = submit(database, &world, AT_ONCE).await;
    let worker = start_worker(&world, database, AT_ONCE).await;
    let idle_kib = memory_kib(worker.pid(), "VmRSS");
    let begun = Instant::now();
    while asked.load(Ordering::Relaxed) < AT_ONCE && begun.elapsed() < LONG_THOUGHT {
        sleep(Duration::from_millis(100)).await;
    }
    let (asked_after, busy_kib) = (begun.elapsed(), memory_kib(worker.pid(), "VmRSS"));
    let at_once = asked.load(Ordering::Relaxed);
    let (_, attempts) = all_succeed(database, &ids).await;
    let row = vec![
        AT_ONCE.to_string(),
        attempts.to_string(),
        at_once.to_string(),
        ms(asked_after),
        format!("{:.1}", begun.elapsed().as_secs_f64()),
        mib(idle_kib),
        mib(busy_kib),
        mib(memory_kib(worker.pid(), "VmHWM")),
    ];
    worker.terminate().await;
    let header = [
        "jobs, all succeeded",
        "attempts",
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
    let of_workers = || processes.iter().map(|process| cpu(process.pid())).sum::<Duration>();
    let (workers_before, own_before) = (of_workers(), own_cpu());
    let ids = submit(database, &world, count).await;
    let (time, attempts) = all_succeed(database, &ids).await;
    let used = [of_workers().saturating_sub(workers_before), own_cpu().saturating_sub(own_before)]
        .map(|cpu| percent_of(time, cpu));
    for process in processes {
        process.terminate().await;
    }
    let per_minute =
        |jobs: usize, time: Duration| f64::from(u32::try_from(jobs).expect("few")) / time.as_secs_f64() * 60.0;
    let (real, ideal) = (per_minute(count, time), per_minute(workers * SLOTS, SHORT_THOUGHT * CALLS));
    let figures = vec![
        workers.to_string(),
        count.to_string(),
        attempts.to_string(),
        format!("{:.1}", time.as_secs_f64()),
        format!("{real:.0}"),
        format!("{ideal:.0}"),
        format!("{:.0}", real / ideal * 100.0),
    ];
    [figures, used.to_vec()].concat()
}

async fn start_worker(world: &World, database: &Database, slots: usize) -> Process {
    let variables = [database.variables.clone(), vec![("TINYGEN_CONCURRENCY", slots.to_string())]].concat();
    world.start_logged("worker", &variables, "Working").await.0
}

async fn submit(database: &Database, world: &World, count: usize) -> Vec<JobId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(database.jobs.submit(spec_for(&world.repo_url)).await.expect("accepted").id);
    }
    ids
}

/// Gives the time from the first start to the last end, and the attempts that it took.
async fn all_succeed(database: &Database, ids: &[JobId]) -> (Duration, u32) {
    let (mut starts, mut ends, mut attempts) = (Vec::new(), Vec::new(), 0);
    for id in ids {
        let job = database.wait(*id).await;
        assert_eq!(job.status, JobStatus::Succeeded, "{:?}", job.failure);
        attempts += job.attempt;
        starts.extend(job.started_at);
        ends.extend(job.finished_at);
    }
    let (first, last) = (starts.iter().min().expect("jobs"), ends.iter().max().expect("jobs"));
    ((*last - *first).to_std().expect("in this order"), attempts)
}
