//! Keeps leases while their jobs are worked on, and tells when a job must stop.
//!
//! It runs on a thread of its own with a runtime and a connection of its own: work that blocks every thread of the
//! worker's runtime must not cost it its jobs.

use std::io;
use std::time::Duration;

use jobs::{Heartbeat, Jobs, Lease};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::warn;

use crate::config::WorkerConfig;

/// How often the thread leaves a sign of life.
const TURN: Duration = Duration::from_secs(1);

/// Why a job must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Another worker holds it, or must be assumed to: write nothing.
    LeaseLost,
    /// Somebody asked for its end.
    CancelRequested,
}

/// Beats for every running job.
pub(crate) struct Heart {
    /// Taken when dropped.
    runtime: Option<Runtime>,
    jobs: Jobs,
    rhythm: Rhythm,
}

#[derive(Clone, Copy)]
struct Rhythm {
    heartbeat: Duration,
    check: Duration,
    lease: Duration,
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
        let vitals = config.vitals.clone();
        runtime.spawn(async move {
            let mut ticks = interval_at(Instant::now(), TURN);
            loop {
                ticks.tick().await;
                vitals.heart_turns();
            }
        });
        let rhythm = Rhythm { heartbeat: config.heartbeat, check: config.check, lease: jobs.policy().lease };
        Ok(Self { runtime: Some(runtime), jobs, rhythm })
    }

    /// Keeps `lease` until the pulse is dropped.
    pub(crate) fn keep(&self, lease: Lease) -> Pulse {
        let (tell, told) = oneshot::channel();
        let (jobs, rhythm) = (self.jobs.clone(), self.rhythm);
        let runtime = self.runtime.as_ref().expect("it is only taken when the heart is dropped");
        let beating = runtime.spawn(async move {
            let stop = beat(&jobs, &lease, rhythm).await;
            // Nobody listens any more: the work was done at the same moment.
            let _ = tell.send(stop);
        });
        Pulse { told, beating: beating.abort_handle() }
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
    told: oneshot::Receiver<Stop>,
    beating: AbortHandle,
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
        self.beating.abort();
    }
}

/// Renews the lease at every heartbeat and looks at the job in between, until the job must stop.
async fn beat(jobs: &Jobs, lease: &Lease, rhythm: Rhythm) -> Stop {
    let mut ticks = interval_at(Instant::now() + rhythm.check, rhythm.check);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut renewed_at = Instant::now();
    loop {
        let asked_at = ticks.tick().await;
        let is_beat = asked_at.duration_since(renewed_at) >= rhythm.heartbeat;
        let answer = if is_beat { jobs.heartbeat(lease).await } else { jobs.check(lease).await };
        match answer {
            Ok(Heartbeat::Held) if is_beat => renewed_at = asked_at,
            Ok(Heartbeat::Held) => {}
            Ok(Heartbeat::CancelRequested) => return Stop::CancelRequested,
            Ok(Heartbeat::Lost) => return Stop::LeaseLost,
            Err(error) => {
                warn!(job.id = %lease.job_id(), error = &error as &dyn std::error::Error, "A heartbeat failed");
                if renewed_at.elapsed() >= rhythm.lease {
                    return Stop::LeaseLost;
                }
            }
        }
    }
}
