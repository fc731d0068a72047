//! F10, F11, F14: a disk that is full, clocks that are wrong, memory that is short.

use std::path::Path;
use std::time::Duration;

use standin::repo::RepoBuilder;
use tokio::process::Command;

use super::{planning, thinking};
use crate::chaos::postgres::Stop;
use crate::chaos::rig::{LEASE, Rig, Start};
use crate::chaos::sized;

/// Where Debian has libfaketime, below the folder of the machine's libraries.
const FAKETIME: &str = "faketime/libfaketime.so.1";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn f10_a_full_disk_costs_the_job_that_fills_it_and_no_other() {
    let Some(mut rig) = Rig::new("F10", thinking(Duration::from_millis(30))).await else { return };
    rig.run_without_faults().await;
    let mut large = RepoBuilder::new();
    for number in 0..8 {
        // Below the size from which files are left at the host.
        let mut noise = vec![0; 500 << 10];
        rand::fill(&mut noise[..]);
        large = large.file(&format!("noise-{number}.bin"), noise);
    }
    rig.world.git.add("large", &large.commit("Add noise")).expect("a repository");
    let small_disk =
        format!("mount -t tmpfs -o size=1m tmpfs {} && exec \"$0\" \"$@\"", rig.temporary_folder().display());
    let api = rig.api().await;
    let within = ["unshare", "-Urm", "sh", "-c", &small_disk];
    let mut worker = rig.start_worker(Start { within: &within, ..Start::default() }).await;
    let rounds = sized(1, 3);
    let url = rig.world.git.url("large");
    for _ in 0..rounds {
        let large = rig.client.submit_for(&url).await;
        rig.expected.failures.insert(large, "internal");
        rig.client.submit_all(5).await;
    }
    let all: Vec<_> = rig.client.log().accepted.keys().copied().collect();
    assert!(rig.client.wait_for(&all, Duration::from_mins(3)).await.is_empty());
    assert!(!worker.has_ended(), "{}", worker.tail());
    rig.conclude("worker with a full disk", rounds, vec![api, worker]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn f11_wrong_clocks_change_nothing() {
    // A pass longer than a lease: heartbeats must keep it.
    let Some(mut rig) = Rig::new("F11", planning(LEASE + Duration::from_secs(2))).await else { return };
    rig.run_without_faults().await;
    let api = rig.api().await;
    let clocks = ["+3d", "-1h", "+1h"];
    for clock in clocks {
        let worker = rig.start_worker(Start { variables: &clock_of(clock), ..Start::default() }).await;
        let right = rig.worker().await;
        let ids = rig.client.submit_all(8).await;
        assert!(rig.client.wait_for(&ids, Duration::from_mins(3)).await.is_empty(), "{}", worker.tail());
        rig.retire(worker).await;
        rig.retire(right).await;
    }
    // The other way round: every clock but Postgres' is right.
    for clock in clocks {
        rig.postgres.stop(Stop::Fast).await;
        rig.postgres.set_clock(clock_of(clock).to_vec());
        rig.postgres.restart().await;
        let worker = rig.worker().await;
        let ids = rig.client.submit_all(4).await;
        rig.note_clock(&ids).await;
        assert!(rig.client.wait_for(&ids, Duration::from_mins(3)).await.is_empty(), "{}", worker.tail());
        rig.retire(worker).await;
    }
    let rescues: i64 = sqlx::query_scalar("SELECT CAST(SUM(rescues) AS BIGINT) FROM jobs")
        .fetch_one(&mut rig.sql().await)
        .await
        .expect("a sum");
    assert_eq!(rescues, 0, "no lease ran out");
    rig.conclude("wrong clocks", 2 * clocks.len(), vec![api]).await;
}

/// Variables that move the wall clock of a program and leave the other clocks alone.
fn clock_of(offset: &str) -> [(&'static str, String); 4] {
    let libraries = std::fs::read_dir("/usr/lib").expect("readable").flatten().map(|entry| entry.path().join(FAKETIME));
    let library =
        libraries.into_iter().find(|path| Path::exists(path)).expect("libfaketime: scripts/chaos installs it");
    [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", offset.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make chaos"]
async fn f14_short_memory_aborts_no_worker() {
    let Some(mut rig) = Rig::new("F14", thinking(Duration::from_millis(100))).await else { return };
    rig.run_without_faults().await;
    let nodes = vec![rig.api().await, rig.worker().await];
    for node in &nodes {
        let limit = ["--as=536870912", "--pid", &node.pid().to_string()].map(str::to_owned);
        assert!(Command::new("prlimit").args(limit).status().await.expect("prlimit runs").success());
    }
    rig.warm_up(&nodes).await;
    let ids = rig.client.submit_all(sized(10, 100)).await;
    assert!(rig.client.wait_for(&ids, Duration::from_mins(4)).await.is_empty(), "{}", nodes[1].tail());
    rig.conclude("512 MiB of address space", 1, nodes).await;
}
