//! What a process costs that has nothing to do: memory, and processor time over half a minute.

#[path = "../tests/it/app.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod app;
#[expect(dead_code, reason = "other benches use the rest")]
mod rig;

use std::time::Duration;

use tokio::time::sleep;

use crate::app::{World, diligent};
use crate::rig::process::{cpu, memory_kib, mib};
use crate::rig::{Database, print_table};

/// The memory of a start is given back, and the pools have settled.
const SETTLING: Duration = Duration::from_secs(3);
const WATCHED: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() {
    let world = World::new(diligent).await;
    let mut rows = Vec::new();
    let embedded = Database::embedded().await;
    let serve = world.serve_as("serve", &embedded.variables).await;
    rows.push(watch("`serve`, embedded", serve.process.pid()).await);
    serve.terminate().await;
    if let Some(database) = Database::scale_out().await {
        let (worker, _) = world.start("worker", &database.variables, "Working").await;
        rows.push(watch("`worker`, Postgres + Redis", worker.pid()).await);
        worker.terminate().await;
        database.remove().await;
    }
    let title = format!("An idle process over {} s", WATCHED.as_secs());
    print_table(&title, &["process", "resident, MiB", "processor, %"], &rows);
}

async fn watch(name: &str, pid: u32) -> Vec<String> {
    sleep(SETTLING).await;
    let before = cpu(pid);
    sleep(WATCHED).await;
    let share = cpu(pid).saturating_sub(before).as_secs_f64() / WATCHED.as_secs_f64();
    vec![name.to_owned(), mib(memory_kib(pid, "VmRSS")), format!("{:.2}", share * 100.0)]
}
