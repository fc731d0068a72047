//! F13: processes that are asked to end, under load.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::random::load;
use super::thinking;
use crate::chaos::rig::Rig;
use crate::chaos::sized;

/// A worker hands its jobs back and ends within this.
const DRAIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn f13_a_rolling_restart_fails_no_job_and_loses_no_attempt() {
    let Some(mut rig) = Rig::new("F13", thinking(Duration::from_millis(500))).await else { return };
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
    let rescues: i64 = sqlx::query_scalar("SELECT CAST(COALESCE(SUM(rescues), 0) AS BIGINT) FROM jobs")
        .fetch_one(&mut rig.sql().await)
        .await
        .expect("a sum");
    assert_eq!(rescues, 0, "no job had to wait for a lease");
    workers.extend(apis);
    rig.conclude("rolling restart under load", rounds, workers).await;
}
