//! F6: workers that stand still for longer than a lease, and then go on as if nothing had happened.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use standin::claude::RequestView;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::planning;
use crate::chaos::node::Node;
use crate::chaos::rig::{LEASE, Rig};
use crate::chaos::sized;
use crate::chaos::tap::Trouble;

/// Jobs that each of them holds.
const HELD: usize = 4;
/// Before the leases have run out.
const EARLY: Duration = Duration::from_secs(10);
/// What a test need not wait for. The jobs still run when those that held them wake.
const SOON: Duration = Duration::from_secs(3);
/// After they have woken: what has arrived meanwhile is written by then.
const DEAF: Duration = Duration::from_secs(1);
/// A heartbeat, and what a busy machine adds: then a worker must know that its jobs are another's.
const NOTICE: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn f06_workers_that_stood_still_write_nothing() {
    // Some answers come while their worker stands still, the others after it has woken. Who asks again gets it soon.
    // When all have woken: more workers take longer.
    let late = Duration::from_secs(sized(33, 40));
    let (early, late, soon) = (planning(EARLY), planning(late), planning(SOON));
    let asked: Mutex<HashSet<String>> = Mutex::default();
    let script = move |request: &RequestView| {
        let is_first = asked.lock().expect("nobody panics").insert(request.sha256().to_owned());
        let is_early = request.sha256().as_bytes()[0].is_multiple_of(2);
        if !is_first {
            return soon(request);
        }
        if is_early { early(request) } else { late(request) }
    };
    let Some(mut rig) = Rig::new("F6", script).await else { return };
    rig.run_without_faults().await;
    let api = rig.api().await;
    let rounds = sized(1, 5);
    let zombies_a_round = sized(1, 5);
    for _ in 0..rounds {
        let mut zombies = Vec::new();
        for _ in 0..zombies_a_round {
            zombies.push(rig.worker().await);
        }
        let before = rig.world.generations();
        let ids = rig.client.submit_all(zombies_a_round * HELD).await;
        for id in &ids {
            claimed_by(&rig, *id, &zombies).await;
        }
        // Each is in a call then.
        rig.world.claude.arrived(before + ids.len()).await;
        for zombie in &zombies {
            zombie.signal("-STOP").await;
        }
        rig.fault_now();
        // On a busy machine the first may be through before the last is claimed.
        let held = still_held(&rig, &ids).await;
        assert!(held.len() > ids.len() / 2, "{} of {} jobs were held", held.len(), ids.len());
        let mut others = Vec::new();
        for _ in 0..zombies_a_round {
            others.push(rig.worker().await);
        }
        // All leases run out and all jobs are taken over.
        for id in &held {
            claimed_by(&rig, *id, &others).await;
        }
        // Only the fence keeps them from writing: of their leases they hear later.
        for zombie in &zombies {
            zombie.postgres.trouble(Some(Trouble::Deaf));
            zombie.signal("-CONT").await;
        }
        sleep(DEAF).await;
        for zombie in &mut zombies {
            zombie.postgres.trouble(None);
            let given_up = zombie.logged("Another worker has the job; the attempt's end is not written");
            timeout(NOTICE, given_up).await.expect("it notices");
        }
        // Each may have cost the call that it was in.
        rig.expected.other_interruptions += held.len();
        assert!(rig.client.wait_for(&ids, Duration::from_mins(2)).await.is_empty(), "{ids:?} have not all ended");
        for worker in zombies.into_iter().chain(others) {
            rig.retire(worker).await;
        }
    }
    let worker = rig.worker().await;
    rig.conclude("worker stopped beyond its lease, then woken", rounds * zombies_a_round, vec![api, worker]).await;
}

/// Waits until one of these workers has ever had the job. It may be through with it by then.
async fn claimed_by(rig: &Rig, id: Uuid, workers: &[Node]) {
    let names: Vec<String> = workers.iter().filter_map(|worker| worker.worker.clone()).collect();
    let claimed = async {
        loop {
            let claims: Vec<String> =
                sqlx::query_scalar("SELECT data FROM job_events WHERE job_id = $1 AND kind = 'job.started'")
                    .bind(id)
                    .fetch_all(&mut rig.sql().await)
                    .await
                    .expect("rows");
            if claims.iter().any(|claim| names.iter().any(|name| claim.contains(name))) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LEASE * 2, claimed).await.expect("a worker takes it");
}

/// The jobs that somebody works on now.
async fn still_held(rig: &Rig, ids: &[Uuid]) -> Vec<Uuid> {
    sqlx::query_scalar("SELECT id FROM jobs WHERE id = ANY($1) AND status = 'running'")
        .bind(ids)
        .fetch_all(&mut rig.sql().await)
        .await
        .expect("rows")
}
