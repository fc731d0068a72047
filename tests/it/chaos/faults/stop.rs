//! F13: processes that are asked to end, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use standin::claude::{Reply, RequestView};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::random::load;
use super::thinking;
use crate::chaos::postgres::Stop;
use crate::chaos::rig::Rig;
use crate::chaos::sized;

/// A worker hands its jobs back and ends within this.
const DRAIN: Duration = Duration::from_secs(30);
/// A job that is canceled has stopped within this, and so has a process that is told twice to end.
const AT_ONCE: Duration = Duration::from_secs(2);

fn silent(_: &RequestView) -> Reply {
    Reply::hang()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_job_stops_at_once_and_so_does_its_stream() {
    let Some(mut rig) = Rig::new("cancel", silent).await else { return };
    let (api, worker) = (rig.api().await, rig.worker().await);
    let id = rig.client.submit().await;
    rig.world.claude.arrived(1).await;
    worker.model.has_connections(1).await;
    assert_eq!(rig.client.cancel(id).await, Some(202));
    let stopped = async {
        worker.model.has_connections(0).await;
        rig.client.wait_for(&[id], AT_ONCE).await
    };
    let open = timeout(AT_ONCE, stopped).await.expect("the stream is closed and the job has ended");
    assert!(open.is_empty(), "{}", worker.tail());
    let status = rig.client.read(id).await.map(|job| job["status"].clone());
    assert_eq!(status, Some("canceled".into()));
    rig.retire(worker).await;
    rig.retire(api).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_worker_that_waits_for_its_database() {
    let Some(mut rig) = Rig::new("signals", silent).await else { return };
    let (_api, mut worker) = (rig.api().await, rig.worker().await);
    rig.client.submit().await;
    rig.world.claude.arrived(1).await;
    rig.postgres.stop(Stop::Fast).await;
    worker.signal("-TERM").await;
    worker.logged("The database does not answer; trying again").await;
    worker.signal("-TERM").await;
    let status = timeout(AT_ONCE, worker.ended()).await.expect("it ends");
    assert_eq!(status.code(), Some(130), "{}", worker.tail());
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_a_rolling_restart_fails_no_job_and_loses_no_attempt() {
    let is_silent = Arc::new(AtomicBool::new(false));
    let thinking = thinking(Duration::from_millis(500));
    let silences = is_silent.clone();
    let script = move |request: &RequestView| {
        if silences.load(Ordering::SeqCst) { silent(request) } else { thinking(request) }
    };
    let Some(mut rig) = Rig::new("F13", script).await else { return };
    rig.run_without_faults().await;
    let mut apis = vec![rig.api().await, rig.api().await];
    let mut workers = vec![rig.worker().await, rig.worker().await, rig.worker().await];
    let stop = CancellationToken::new();
    let load = tokio::spawn(load(rig.client.clone(), stop.clone()));
    let rounds = sized(1, 10);
    for _ in 0..rounds {
        for _ in 0..workers.len() {
            let old = workers.remove(0);
            // What it was doing is handed back, and done again by another.
            rig.expected.other_interruptions += old.concurrency;
            rig.fault_now();
            timeout(DRAIN, rig.retire(old)).await.expect("it drains");
            workers.push(rig.worker().await);
            sleep(Duration::from_millis(500)).await;
        }
        let old = apis.remove(0);
        timeout(DRAIN, rig.retire(old)).await.expect("it drains");
        apis.push(rig.api().await);
    }
    stop.cancel();
    load.await.expect("the load ends");
    let all: Vec<_> = rig.client.log().accepted.keys().copied().collect();
    assert!(rig.client.wait_for(&all, Duration::from_mins(2)).await.is_empty(), "{}", workers[0].tail());
    // A job that hangs is handed back as well.
    is_silent.store(true, Ordering::SeqCst);
    let before = rig.world.generations();
    let hung = rig.client.submit().await;
    rig.world.claude.arrived(before + 1).await;
    is_silent.store(false, Ordering::SeqCst);
    let holder = rig.holder(hung).await;
    let holder = workers.iter().position(|worker| worker.worker == holder).expect("it runs");
    rig.expected.other_interruptions += 1;
    rig.fault_now();
    timeout(DRAIN, rig.retire(workers.swap_remove(holder))).await.expect("it drains");
    assert!(rig.client.wait_for(&[hung], DRAIN).await.is_empty(), "{}", workers[0].tail());
    let rescues: i64 = sqlx::query_scalar("SELECT CAST(COALESCE(SUM(rescues), 0) AS BIGINT) FROM jobs")
        .fetch_one(&mut rig.sql().await)
        .await
        .expect("a sum");
    assert_eq!(rescues, 0, "no job had to wait for a lease");
    workers.extend(apis);
    rig.conclude("rolling restart under load", rounds, workers).await;
}
