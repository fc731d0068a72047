//! F1 and F3: processes killed at exact places: around every commit and every call, in the clone, in the response.

use std::time::Duration;

use rand::seq::SliceRandom;
use standin::git::{Fault, Stage};
use tokio::time::{Instant, sleep, timeout};

use super::thinking;
use crate::chaos::node::Node;
use crate::chaos::rig::{Rig, Start};
use crate::chaos::sized;
use crate::chaos::tap::Point;

/// Workers that are killed side by side.
const BATCH: usize = 14;
/// A worker that has not reached its place by then has run out of jobs: it gets one more.
const ONE_MORE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn f01_workers_are_killed_at_every_exact_place() {
    let Some(mut rig) = Rig::new("F1", thinking(Duration::from_millis(30))).await else { return };
    let (commits, answers) = rig.run_without_faults().await;
    assert!(commits >= 12 && answers == 3, "{commits} commits, {answers} answers");
    let api = rig.api().await;
    let regimes = sized(1, 3);
    for _ in 0..regimes {
        let at_commits = (1..=commits).flat_map(|n| [Point::BeforeCommit(n), Point::AfterCommit(n)]);
        let at_calls = (1..=answers).flat_map(|n| [Point::BeforeCall(n), Point::AfterAnswer(n)]);
        let mut points: Vec<Point> = at_commits.chain(at_calls).collect();
        points.shuffle(&mut rig.random);
        points.truncate(sized(BATCH - 3, usize::MAX));
        kill_in_the_clone(&mut rig).await;
        for batch in points.chunks(BATCH) {
            kill_at(&mut rig, batch).await;
        }
    }
    let mut nodes = rescue(&mut rig).await;
    nodes.push(api);
    rig.conclude("worker killed at exact places", regimes, nodes).await;
}

/// Lets one worker each run to its place, then lets others finish the jobs.
async fn kill_at(rig: &mut Rig, points: &[Point]) {
    let ids = rig.client.submit_all(points.len()).await;
    let mut nodes = Vec::new();
    for point in points {
        let start = Start { kill_at: Some(*point), concurrency: Some(1), ..Start::default() };
        nodes.push(rig.start_worker(start).await);
    }
    for mut node in nodes {
        while timeout(ONE_MORE, node.ended()).await.is_err() {
            rig.client.submit().await;
        }
        rig.bury(node).await;
    }
    let rescuers = rescue(rig).await;
    let open = rig.client.wait_for(&ids, Duration::from_mins(2)).await;
    assert!(open.is_empty(), "{open:?} have not ended");
    for rescuer in rescuers {
        rig.retire(rescuer).await;
    }
}

/// Kills a worker that waits for the first answer of the Git host, for the second, and for the rest of the pack.
async fn kill_in_the_clone(rig: &mut Rig) {
    for stage in [Stage::Advertisement, Stage::LsRefs, Stage::Fetch] {
        let asked = |rig: &Rig| rig.world.git.ledger().iter().filter(|asked| asked.stage == Some(stage)).count();
        let before = asked(rig);
        rig.world.git.behave(|behaviour| match stage {
            Stage::Advertisement => behaviour.advertisement = Some(Fault::Hang),
            Stage::LsRefs => behaviour.ls_refs = Some(Fault::HangAfter(9)),
            Stage::Fetch => behaviour.fetch = Some(Fault::HangAfter(200)),
        });
        rig.client.submit().await;
        let worker = rig.start_worker(Start { concurrency: Some(1), ..Start::default() }).await;
        until("the Git host is asked", || asked(rig) > before).await;
        rig.kill(worker).await;
        rig.world.git.behave(|behaviour| *behaviour = standin::git::Behaviour::default());
    }
}

async fn rescue(rig: &mut Rig) -> Vec<Node> {
    vec![rig.worker().await, rig.worker().await]
}

/// Waits for what must come.
pub(super) async fn until(what: &str, is_there: impl Fn() -> bool) {
    let give_up_at = Instant::now() + Duration::from_mins(1);
    while !is_there() {
        assert!(Instant::now() < give_up_at, "{what}: it never does");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f03_apis_are_killed_around_the_commit_and_in_the_response() {
    let Some(mut rig) = Rig::new("F3", thinking(Duration::from_millis(30))).await else { return };
    rig.run_without_faults().await;
    let mut nodes = rescue(&mut rig).await;
    let rounds = sized(1, 36);
    for _ in 0..rounds {
        for point in [Point::BeforeCommit(1), Point::AfterCommit(1)] {
            let api = rig.start_api(Start { kill_at: Some(point), ..Start::default() }).await;
            assert_eq!(rig.client.post().await, None, "nobody answers 202 at {point:?}");
            let is_stored = rig.is_last_post_stored().await;
            let refusals = rig.client.log().refusals;
            assert_eq!(is_stored, point == Point::AfterCommit(1), "{point:?}, {refusals:?}: {}", api.tail());
            rig.bury(api).await;
        }
        let api = rig.api().await;
        rig.client.post_and_read(40).await;
        rig.kill(api).await;
        assert!(rig.is_last_post_stored().await, "the answer had begun");
        // Who got no answers asks again, under the same keys.
        let api = rig.api().await;
        rig.client.ask_again().await;
        rig.retire(api).await;
    }
    nodes.push(rig.api().await);
    rig.conclude("API killed around its commit", rounds, nodes).await;
}
