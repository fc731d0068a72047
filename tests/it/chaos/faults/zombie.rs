//! F6: workers that stand still for longer than a lease, and then go on as if nothing had happened.

use std::time::Duration;

use standin::claude::RequestView;
use tokio::time::{sleep, timeout};

use super::planning;
use crate::chaos::rig::{LEASE, Rig};
use crate::chaos::sized;

/// Jobs that each of them holds.
const HELD: usize = 4;
/// A heartbeat, and what a busy machine adds: then a worker must know that its jobs are another's.
const NOTICE: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn f06_workers_that_stood_still_write_nothing() {
    // Some answers come while their worker stands still, the others after it has woken.
    let (early, late) = (planning(Duration::from_secs(8)), planning(Duration::from_secs(25)));
    let is_early = |request: &RequestView| request.sha256().as_bytes()[0].is_multiple_of(2);
    let script = move |request: &RequestView| if is_early(request) { early(request) } else { late(request) };
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
        let ids = rig.client.submit_all(zombies_a_round * HELD).await;
        for id in &ids {
            let claimed = async {
                while rig.holder(*id).await.is_none() {
                    sleep(Duration::from_millis(50)).await;
                }
            };
            timeout(Duration::from_secs(30), claimed).await.expect("it is claimed");
        }
        for zombie in &zombies {
            zombie.signal("-STOP").await;
        }
        rig.fault_now();
        let mut others = Vec::new();
        for _ in 0..zombies_a_round {
            others.push(rig.worker().await);
        }
        // All leases run out and all jobs are taken over.
        let names: Vec<_> = others.iter().map(|worker| worker.worker.clone()).collect();
        for id in &ids {
            let taken = async {
                while !names.contains(&rig.holder(*id).await) {
                    sleep(Duration::from_millis(100)).await;
                }
            };
            timeout(LEASE * 2, taken).await.expect("another worker takes it over");
        }
        for zombie in &mut zombies {
            zombie.signal("-CONT").await;
            let given_up = zombie.logged("Another worker has the job; the attempt's end is not written");
            timeout(NOTICE, given_up).await.expect("it notices");
        }
        // Each may have cost the call that it was in.
        rig.expected.other_interruptions += ids.len();
        assert!(rig.client.wait_for(&ids, Duration::from_mins(2)).await.is_empty(), "{ids:?} have not all ended");
        for worker in zombies.into_iter().chain(others) {
            rig.retire(worker).await;
        }
    }
    let worker = rig.worker().await;
    rig.conclude("worker stopped beyond its lease, then woken", rounds * zombies_a_round, vec![api, worker]).await;
}
