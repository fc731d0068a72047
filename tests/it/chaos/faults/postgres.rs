//! F5: Postgres dies, is stopped, drops its connections, has none left, and waits for locks.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::random::load;
use super::{planning, thinking};
use crate::chaos::postgres::Stop;
use crate::chaos::rig::{LEASE, RECOVERY, Rig};
use crate::chaos::sized;

/// What a process may wait between two tries, beside what a lost worker takes.
const BACKOFF: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn f05_nothing_is_accepted_without_postgres_and_nothing_is_lost_with_it() {
    let Some(mut rig) = Rig::new("F5", thinking(Duration::from_millis(300))).await else { return };
    rig.run_without_faults().await;
    rig.expected.recovery = RECOVERY + BACKOFF;
    let nodes = vec![rig.api().await, rig.api().await, rig.worker().await, rig.worker().await];
    rig.warm_up(&nodes).await;
    let stop = CancellationToken::new();
    let load = tokio::spawn(load(rig.client.clone(), stop.clone()));
    let mut rounds = 0;
    for how in [Stop::Kill, Stop::Immediate, Stop::Fast].into_iter().cycle().take(sized(3, 12)) {
        rig.postgres.stop(how).await;
        rig.postgres.restart().await;
        rig.expected.other_interruptions += 8;
        sleep(Duration::from_secs(3)).await;
        rounds += 1;
    }
    // Longer than a lease, more often than a job may lose its worker.
    for _ in 0..sized(1, 3) {
        rig.postgres.stop(Stop::Fast).await;
        sleep(LEASE + Duration::from_secs(3)).await;
        rig.postgres.restart().await;
        rig.expected.other_interruptions += 8;
        sleep(Duration::from_secs(3)).await;
        rounds += 1;
    }
    for _ in 0..sized(3, 20) {
        rig.postgres
            .execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
            )
            .await;
        sleep(Duration::from_millis(500)).await;
        rounds += 1;
    }
    rig.expected.other_interruptions += 8;
    // Every job is locked for longer than a lease lasts from a late heartbeat.
    rig.postgres.execute("BEGIN; LOCK TABLE jobs IN EXCLUSIVE MODE; SELECT pg_sleep(8); COMMIT").await;
    rounds += 1;
    no_connection_left(&rig, Duration::from_secs(6)).await;
    rounds += 1;
    rig.fault_now();
    stop.cancel();
    load.await.expect("the load ends");
    let poisoned: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM jobs WHERE status <> 'succeeded' AND failure IS NOT NULL")
            .fetch_one(&mut rig.sql().await)
            .await
            .expect("a count");
    assert_eq!(poisoned, 0, "no job fails for what Postgres did");
    rig.conclude("Postgres that dies, drops, locks", rounds, nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_longer_than_a_lease_costs_no_call_and_no_worker() {
    // The call lasts longer than the outage.
    let Some(mut rig) = Rig::new("F5-short", planning(LEASE + Duration::from_secs(9))).await else { return };
    rig.run_without_faults().await;
    let api = rig.api().await;
    let workers = [rig.worker().await, rig.worker().await];
    let before = rig.world.generations();
    let ids = rig.client.submit_all(2).await;
    rig.world.claude.arrived(before + ids.len()).await;
    rig.postgres.stop(Stop::Fast).await;
    let body = rig.client.post().await;
    assert_eq!((body, rig.client.log().refusals), (None, vec![503]), "nothing is accepted meanwhile");
    sleep(LEASE + Duration::from_secs(2)).await;
    rig.postgres.restart().await;
    let ended = Duration::from_mins(3);
    assert!(rig.client.wait_for(&ids, ended).await.is_empty(), "{}", workers[0].tail());
    let jobs: Vec<(String, i64, i64)> = sqlx::query_as("SELECT status, attempt, rescues FROM jobs")
        .fetch_all(&mut rig.sql().await)
        .await
        .expect("rows");
    assert_eq!(jobs, vec![("succeeded".to_owned(), 1, 0); 1 + ids.len()], "nobody was lost");
    assert_eq!(rig.world.generations(), 3 * (1 + ids.len()), "no call was cut off");
    for node in workers.into_iter().chain([api]) {
        rig.retire(node).await;
    }
}

/// Takes every connection that the server gives, while those of the program are dropped.
async fn no_connection_left(rig: &Rig, time: Duration) {
    let mut taken = Vec::new();
    while let Ok(connection) = rig.postgres.connect().await {
        taken.push(connection);
    }
    sleep(time).await;
}
