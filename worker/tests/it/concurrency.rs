//! A worker does as much at a time as it may, and claims no more than that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::JobStatus;
use tokio::sync::Barrier;
use worker::WorkerConfig;

use crate::fixture::{Database, endless_work, quick, result, work};

#[tokio::test]
async fn runs_as_many_jobs_at_a_time_as_allowed_and_no_more() {
    const AT_A_TIME: usize = 3;
    let database = Database::new().await;
    // Nobody passes the barrier unless that many run at the same time.
    let (barrier, running, most) = (Arc::new(Barrier::new(AT_A_TIME)), Arc::default(), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let worker = database.start_worker(
        work(move |_, _| {
            let (barrier, running, most): (_, Arc<AtomicUsize>, _) =
                (barrier.clone(), Arc::clone(&running), seen.clone());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                barrier.wait().await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(result())
            }
        }),
        WorkerConfig { concurrency: AT_A_TIME, ..quick() },
    );
    let mut ids = Vec::new();
    for _ in 0..4 * AT_A_TIME {
        ids.push(database.submit().await);
    }
    for id in ids {
        database.until(id, JobStatus::Succeeded).await;
    }
    assert_eq!(most.load(Ordering::SeqCst), AT_A_TIME);
    worker.stop().await;
}

#[tokio::test]
async fn leaves_a_job_it_has_no_slot_for_to_others() {
    let database = Database::new().await;
    let (work, endless) = endless_work();
    let (first, second) = (database.submit().await, database.submit().await);
    let worker = database.start_worker(work.clone(), WorkerConfig { concurrency: 1, ..quick() });
    database.until(first, JobStatus::Running).await;
    let other = database.start_worker(work, WorkerConfig { concurrency: 1, ..quick() });
    database.until(second, JobStatus::Running).await;
    let starts = [first, second].map(|id| database.jobs.events(id, 1));
    let [first, second] = starts.map(|events| async { events.await.unwrap()[0].data["worker"].clone() });
    assert_ne!(first.await, second.await);
    worker.stop().await;
    other.stop().await;
    assert_eq!(endless.started.load(Ordering::SeqCst), 2);
}
