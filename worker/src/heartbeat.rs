//! Keeps leases while their jobs are worked on, and tells when a job must stop.
//!
//! It runs on a thread of its own with a runtime and a connection of its own: work that blocks every thread of the
//! worker's runtime must not cost it its jobs. All jobs of the worker are asked about at once.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jobs::{Heartbeat, Jobs, Lease, StoreError};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::warn;

use crate::config::WorkerConfig;
use crate::tally;
use crate::vitals::Vitals;

/// Longest that the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a job must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Another worker holds it: write nothing.
    LeaseLost,
    /// Somebody asked for its end.
    CancelRequested,
}

/// Beats for every running job.
pub(crate) struct Heart {
    /// Taken when dropped.
    runtime: Option<Runtime>,
    held: Arc<Held>,
}

impl Heart {
    /// Starts the thread.
    pub(crate) fn start(jobs: &Jobs, config: &WorkerConfig) -> io::Result<Self> {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("heartbeat").enable_all().build()?;
        let jobs = {
            let _served_by = runtime.enter();
            jobs.on_own_connection()
        };
        let held = Arc::new(Held::default());
        let rhythm = Rhythm { heartbeat: config.heartbeat, check: config.check };
        runtime.spawn(beat(jobs, Arc::clone(&held), rhythm, config.vitals.clone()));
        Ok(Self { runtime: Some(runtime), held })
    }

    /// Keeps `lease` until the pulse is dropped.
    pub(crate) fn keep(&self, lease: Lease) -> Pulse {
        let (tell, told) = oneshot::channel();
        self.held.lock().insert(lease, Kept { renewed_at: Instant::now(), tell });
        Pulse { lease, told, held: Arc::clone(&self.held) }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // To wait for its thread would block, which the dropping runtime does not allow.
            runtime.shutdown_background();
        }
    }
}

/// The beating for one job.
pub(crate) struct Pulse {
    lease: Lease,
    told: oneshot::Receiver<Stop>,
    held: Arc<Held>,
}

impl Pulse {
    /// Waits until the job must stop.
    pub(crate) async fn stopped(&mut self) -> Stop {
        // A heart that is gone keeps no lease.
        (&mut self.told).await.unwrap_or(Stop::LeaseLost)
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.held.lock().remove(&self.lease);
    }
}

/// The leases that are kept.
#[derive(Default)]
struct Held(Mutex<HashMap<Lease, Kept>>);

struct Kept {
    renewed_at: Instant,
    tell: oneshot::Sender<Stop>,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that were renewed at least `age` before `now`, and those that were renewed later.
    fn by_age(&self, age: Duration, now: Instant) -> (Vec<Lease>, Vec<Lease>) {
        let held = self.lock();
        let (old, new): (Vec<_>, Vec<_>) =
            held.iter().partition(|(_, kept)| now.duration_since(kept.renewed_at) >= age);
        let leases = |some: Vec<(&Lease, &Kept)>| some.into_iter().map(|(lease, _)| *lease).collect();
        (leases(old), leases(new))
    }

    /// What is left, `now`, of the lease that runs out first.
    fn time_left(&self, lease: Duration, now: Instant) -> Option<Duration> {
        let oldest = self.lock().values().map(|kept| kept.renewed_at).min()?;
        Some((oldest + lease).saturating_duration_since(now))
    }

    fn renewed(&self, lease: &Lease, at: Instant) {
        if let Some(kept) = self.lock().get_mut(lease) {
            kept.renewed_at = at;
        }
    }

    fn stop(&self, lease: &Lease, why: Stop) {
        if let Some(kept) = self.lock().remove(lease) {
            // Nobody listens any more: the work was done at the same moment.
            let _ = kept.tell.send(why);
        }
    }
}

#[derive(Clone, Copy)]
struct Rhythm {
    heartbeat: Duration,
    check: Duration,
}

/// Renews each lease at every heartbeat and looks at its job in between, until the job must stop.
///
/// A database that is away is no reason to: nobody else can take the jobs over either, and the first heartbeat that gets
/// through renews the leases, however late. Where only this worker cannot reach it, others go on with its jobs, and all
/// that this one still writes is refused.
async fn beat(jobs: Jobs, held: Arc<Held>, rhythm: Rhythm, vitals: Vitals) {
    let mut ticks = interval(rhythm.check);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked_at = ticks.tick().await;
        vitals.heart_turns();
        tally::leases_left(held.time_left(jobs.policy().lease, asked_at));
        let (due, others) = held.by_age(rhythm.heartbeat, asked_at);
        let answers = async {
            // Who holds nothing asks nothing.
            let beats = if due.is_empty() { Vec::new() } else { jobs.heartbeat(&due).await? };
            let checks = if others.is_empty() { Vec::new() } else { jobs.check(&others).await? };
            Ok::<_, StoreError>((beats, checks))
        };
        match timeout(PATIENCE, answers).await {
            Ok(Ok((beats, checks))) => {
                for (lease, answer) in due.iter().zip(beats) {
                    if answer == Heartbeat::Held {
                        held.renewed(lease, asked_at);
                    }
                    obey(&held, lease, answer);
                }
                others.iter().zip(checks).for_each(|(lease, answer)| obey(&held, lease, answer));
            }
            Ok(Err(error)) => warn!(error = &error as &dyn std::error::Error, "A heartbeat failed"),
            Err(_) => warn!("A heartbeat was not answered within {} s", PATIENCE.as_secs()),
        }
    }
}

fn obey(held: &Held, lease: &Lease, answer: Heartbeat) {
    match answer {
        Heartbeat::Held | Heartbeat::Delayed => {}
        Heartbeat::CancelRequested => held.stop(lease, Stop::CancelRequested),
        Heartbeat::Lost => held.stop(lease, Stop::LeaseLost),
    }
}
