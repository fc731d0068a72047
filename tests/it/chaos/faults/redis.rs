//! F4: Redis stops, dies, forgets, runs out of memory, is locked.

use std::time::Duration;

use tokio::time::sleep;

use super::thinking;
use crate::chaos::rig::Rig;
use crate::chaos::sized;

/// Jobs that are posted during each fault.
const JOBS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn f04_jobs_are_accepted_and_done_whatever_redis_does() {
    let Some(mut rig) = Rig::new("F4", thinking(Duration::from_millis(100))).await else { return };
    rig.run_without_faults().await;
    let nodes = vec![rig.api().await, rig.worker().await, rig.worker().await];
    rig.warm_up(&nodes).await;
    let mut rounds = 0;
    for seconds in [1, 10, sized(1, 60)] {
        rig.redis.stop().await;
        post(&mut rig).await;
        sleep(Duration::from_secs(seconds)).await;
        rig.redis.go_on().await;
        post(&mut rig).await;
        rounds += 1;
    }
    for _ in 0..sized(1, 5) {
        rig.redis.kill().await;
        post(&mut rig).await;
        rig.redis.restart().await;
        post(&mut rig).await;
        rounds += 1;
    }
    for _ in 0..sized(5, 50) {
        rig.client.submit().await;
        rig.redis.command(&["FLUSHALL"]).await;
        rounds += 1;
    }
    let authorized = ["-a", "changed", "--no-auth-warning", "CONFIG", "SET", "requirepass", ""];
    let faults: [(&[&str], &[&str]); 4] = [
        (&["SCRIPT", "FLUSH"], &["PING"]),
        (&["CLIENT", "PAUSE", "3000"], &["PING"]),
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
        (&["CONFIG", "SET", "requirepass", "changed"], &authorized),
    ];
    for (begin, end) in faults {
        rig.redis.command(begin).await;
        post(&mut rig).await;
        rig.redis.command(end).await;
        post(&mut rig).await;
        rounds += 1;
    }
    assert!(rig.client.log().refusals.is_empty(), "every post is answered 202");
    rig.conclude("Redis that stops, dies, forgets", rounds, nodes).await;
}

/// Every job that is posted now is accepted at the first try, and done.
async fn post(rig: &mut Rig) {
    let ids = rig.client.submit_all(JOBS).await;
    rig.fault_now();
    let open = rig.client.wait_for(&ids, Duration::from_mins(1)).await;
    assert!(open.is_empty(), "{open:?} have not ended");
}
