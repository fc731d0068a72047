//! Work that blocks does not lose its job.

use std::thread;
use std::time::{Duration, Instant};

use domain::JobStatus;
use jobs::{Jobs, Policy, WorkerId};
use worker::WorkerConfig;

use crate::fixture::{Database, RunningWorker, quick, result, work};

/// The runtime has one thread, and the work blocks it for several leases while another process tries to claim.
#[tokio::test(flavor = "current_thread")]
async fn a_blocked_runtime_keeps_its_lease() {
    let lease = Duration::from_millis(400);
    let blocked_for = 3 * lease;
    let database = Database::new().await;
    let url = database.url.clone();
    let jobs = database.jobs.clone().with_policy(Policy { lease, ..Policy::default() });
    let config = WorkerConfig { heartbeat: Duration::from_millis(50), check: Duration::from_millis(50), ..quick() };
    let worker = RunningWorker::start(
        jobs,
        work(move |_, _| {
            let url = url.clone();
            async move {
                let thief = thread::spawn(move || claims_within(&url, blocked_for));
                assert!(!thief.join().unwrap(), "the job was stolen");
                Ok(result())
            }
        }),
        config,
    );
    let id = database.submit().await;
    let job = database.until(id, JobStatus::Succeeded).await;
    assert_eq!((job.attempt, job.rescues), (1, 0));
    worker.stop().await;
}

/// Whether another process could claim anything during `period`.
fn claims_within(url: &str, period: Duration) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let jobs = Jobs::open(url).await.unwrap();
        let end = Instant::now() + period;
        while Instant::now() < end {
            if jobs.claim(&WorkerId::new("thief")).await.unwrap().is_some() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    })
}
