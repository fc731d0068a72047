//! F12: a network that delays, holds back, loses, resets and closes.

use std::time::Duration;

use tokio::time::sleep;

use super::thinking;
use crate::chaos::node::Node;
use crate::chaos::rig::{LEASE, RECOVERY, Rig};
use crate::chaos::sized;
use crate::chaos::tap::{Tap, Trouble};

/// Jobs that are posted before each trouble: as many as the worker that meets it holds, and its neighbour.
const JOBS: usize = 6;
/// What a worker may wait between two tries, beside what a lost worker takes.
const BACKOFF: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_secs(4);

/// A trouble, and how long it lasts.
type Weather = (Trouble, Duration);

/// A way of a process, its name, its troubles, and the calls that each may cost.
type Way = (fn(&Node) -> &Tap, Vec<Weather>, usize);

fn ways() -> [Way; 3] {
    let delay = Trouble::Delay(Duration::from_millis(200));
    let common = [(delay, SHORT), (Trouble::Reset, SHORT), (Trouble::Cut, SHORT), (Trouble::HalfClose, SHORT)];
    let and = |more: &[Weather]| [&common, more].concat();
    let beyond = LEASE + Duration::from_secs(6);
    [
        (
            |node| &node.postgres,
            and(&[(Trouble::Stall, SHORT), (Trouble::Stall, beyond), (Trouble::Blackhole, SHORT)]),
            4,
        ),
        (|node| &node.redis, and(&[(Trouble::Stall, SHORT), (Trouble::Blackhole, SHORT)]), 0),
        // Silence for good is F7's.
        (|node| &node.model, and(&[(Trouble::Stall, SHORT)]), 8),
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn f12_no_trouble_of_the_network_loses_a_job() {
    let Some(mut rig) = Rig::new("F12", thinking(Duration::from_secs(1))).await else { return };
    rig.run_without_faults().await;
    rig.expected.recovery = RECOVERY + BACKOFF;
    let api = rig.api().await;
    let mut neighbour = rig.worker().await;
    let mut rounds = 0;
    for (tap, weathers, calls) in ways() {
        for (trouble, time) in weathers.into_iter().take(sized(1, usize::MAX)) {
            let troubled = rig.worker().await;
            let ids = rig.client.submit_all(JOBS).await;
            sleep(Duration::from_millis(500)).await;
            tap(&troubled).trouble(Some(trouble));
            sleep(time).await;
            tap(&troubled).trouble(None);
            rig.fault_now();
            rig.expected.other_interruptions += calls;
            let open = rig.client.wait_for(&ids, Duration::from_mins(3)).await;
            assert!(open.is_empty(), "{trouble:?}: {open:?} have not ended: {}", troubled.tail());
            assert!(!neighbour.has_ended(), "{}", neighbour.tail());
            // It has got over it, and works alone.
            rig.retire(neighbour).await;
            let ids = rig.client.submit_all(1).await;
            let open = rig.client.wait_for(&ids, Duration::from_mins(1)).await;
            assert!(open.is_empty(), "{trouble:?}: it does not work again: {}", troubled.tail());
            neighbour = troubled;
            rounds += 1;
        }
    }
    rig.conclude("network that delays, holds back, drops", rounds, vec![api, neighbour]).await;
}
