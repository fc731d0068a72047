//! From an accepted job to its start on an idle worker: `job.queued` to `job.started`, by the database's clock.
//!
//! Real processes: `tinygen serve` on SQLite, and `tinygen api` beside `tinygen worker` on Postgres and Redis. The jobs name a
//! repository that is not there, so that each is over at once and the worker is idle when the next one comes.

#[path = "../tests/it/app.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod app;
#[expect(dead_code, reason = "other benches use the rest")]
mod rig;

use std::time::Duration;

use jobs::EventKind;
use tokio::time::sleep;

use crate::app::{World, diligent};
use crate::rig::{Database, ms, percentile, print_table};

const JOBS: usize = 500;
/// Between two jobs: the worker waits for the bell again.
const REST: Duration = Duration::from_millis(10);

#[tokio::main]
async fn main() {
    let world = World::new(diligent).await;
    let mut rows = Vec::new();
    for database in Database::all().await {
        let is_embedded = database.mode == "embedded";
        let command = if is_embedded { "serve" } else { "api" };
        let api = world.serve_as(command, &database.variables).await;
        let worker =
            if is_embedded { None } else { Some(world.start("worker", &database.variables, "Working").await.0) };
        let mut times = Vec::new();
        for _ in 0..JOBS {
            let job = api.submit(&world.git.url("absent")).await;
            let id = job["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
            database.wait(id).await;
            times.push(database.between(id, EventKind::JobQueued, EventKind::JobStarted).await);
            sleep(REST).await;
        }
        times.sort_unstable();
        let figures = [50, 90, 99, 100].map(|percent| ms(percentile(&times, percent)));
        rows.push([vec![database.mode.to_owned()], figures.to_vec()].concat());
        if let Some(worker) = worker {
            worker.terminate().await;
        }
        api.terminate().await;
        database.remove().await;
    }
    print_table(
        &format!("Accepted to started on an idle worker, ms (n={JOBS})"),
        &["mode", "p50", "p90", "p99", "max"],
        &rows,
    );
}
