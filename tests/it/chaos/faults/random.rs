//! F2: workers and APIs killed at any time, under load.

use std::time::Duration;

use rand::RngExt;
use standin::webhook_receiver::WebhookReceiver;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::thinking;
use crate::chaos::client::Client;
use crate::chaos::rig::Rig;
use crate::chaos::sized;

const WORKERS: usize = 3;
const APIS: usize = 2;
/// Between two posts.
const LOAD: Duration = Duration::from_millis(600);
/// Between two kills, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 200..3_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn f02a_processes_are_killed_at_random() {
    kill_at_random("F2a").await;
}

/// Beside the first, which mostly waits: half the time for twice the kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn f02b_processes_are_killed_at_random() {
    kill_at_random("F2b").await;
}

async fn kill_at_random(fault: &'static str) {
    let Some(mut rig) = Rig::new(fault, thinking(Duration::from_millis(300))).await else { return };
    rig.run_without_faults().await;
    let mut nodes = Vec::new();
    for _ in 0..APIS {
        nodes.push(rig.api().await);
    }
    for _ in 0..WORKERS {
        nodes.push(rig.worker().await);
    }
    let receiver = rig.receives(WebhookReceiver::obliging().await.expect("a receiver"));
    rig.client.tell(&receiver);
    let stop = CancellationToken::new();
    let load = tokio::spawn(load(rig.client.clone(), stop.clone()));
    let kills = sized(10, 140);
    for _ in 0..kills {
        sleep(Duration::from_millis(rig.random.random_range(PAUSE_MS))).await;
        let victim = nodes.swap_remove(rig.random.random_range(0..nodes.len()));
        let is_api = victim.url.is_some();
        rig.kill(victim).await;
        let next = if is_api { rig.api().await } else { rig.worker().await };
        nodes.push(next);
    }
    stop.cancel();
    load.await.expect("the load ends");
    rig.conclude("worker or API killed at random", kills, nodes).await;
}

/// Posts and reads until told to stop.
pub(super) async fn load(client: Client, stop: CancellationToken) {
    let mut ids = Vec::new();
    while !stop.is_cancelled() {
        ids.push(client.submit().await);
        for id in ids.iter().rev().take(10) {
            client.read(*id).await;
        }
        stop.run_until_cancelled(sleep(LOAD)).await;
    }
}
