//! From an accepted job to its start on an idle worker: `job.queued` to `job.started`, by the database's clock.
//!
//! Real processes: `tinygen serve` on SQLite, and `tinygen api` beside `tinygen worker` on Postgres and Redis. The jobs name a
//! repository that is not there, so that each is over at once and the worker is idle when the next one comes.

#[expect(dead_code, reason = "other benches use the rest")]
mod rig;

use std::time::Duration;

use jobs::EventKind;
use tokio::time::sleep;

use crate::rig::app::{World, diligent};
use crate::rig::database::Database;
use crate::rig::service::Service;
use crate::rig::{ms, percentile, print_table};

const JOBS: usize = 500;
/// Between two jobs: nobody looks at the one before while it starts, and the worker waits for the bell again.
const REST: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() {
    let world = World::new(diligent).await;
    let mut rows = Vec::new();
    for database in Database::all().await {
        let service = Service::start(&world, &database).await;
        let mut times = Vec::new();
        for _ in 0..JOBS {
            let job = service.api.submit(&world.git.url("absent")).await;
            let id = job["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
            sleep(REST).await;
            database.wait(id).await;
            times.push(database.between(id, EventKind::JobQueued, EventKind::JobStarted).await);
        }
        times.sort_unstable();
        let figures = [50, 90, 99, 100].map(|percent| ms(percentile(&times, percent)));
        rows.push([vec![database.mode.to_owned()], figures.to_vec()].concat());
        service.terminate().await;
        database.remove().await;
    }
    print_table(
        &format!("Accepted to started on an idle worker, ms (n={JOBS})"),
        &["mode", "p50", "p90", "p99", "max"],
        &rows,
    );
}
