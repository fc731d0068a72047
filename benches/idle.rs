//! What a process costs that has nothing to do: memory, and processor time over half a minute.

#[expect(dead_code, reason = "other benches use the rest")]
mod rig;

use std::time::Duration;

use tokio::time::sleep;

use crate::rig::app::{World, diligent};
use crate::rig::database::Database;
use crate::rig::print_table;
use crate::rig::process::{cpu, memory_kib, mib, percent_of};

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
    print_table(&title, &["process", "resident, MiB", "of a processor, %"], &rows);
}

async fn watch(name: &str, pid: u32) -> Vec<String> {
    sleep(SETTLING).await;
    let before = cpu(pid);
    sleep(WATCHED).await;
    let used = cpu(pid).saturating_sub(before);
    vec![name.to_owned(), mib(memory_kib(pid, "VmRSS")), percent_of(WATCHED, used)]
}
