//! The store as plain values: what each of its operations answers and changes, without a database.
//!
//! It says the same as the SQL of `jobs/src/store`, one function for each, and `drift.rs` holds it to that. Time is a
//! number that the schedule moves. A [`Defect`] makes it wrong on purpose.

#![expect(missing_docs, reason = "what has no words of its own is named as its column or operation in the store")]

mod ends;
mod stages;

use domain::{FailureCode, JobStatus};
use jobs::{EventKind, Heartbeat, Policy};

use crate::defects::Defect;

pub use ends::Found;

/// Stages of a job, each with one call to the model.
pub const STAGES: usize = 3;
/// What a call sets aside, and what it costs in the end.
pub const RESERVED: u32 = 700;
pub const COST: u32 = 40;

/// A moment, or a length of time: in simulations 1 is the time between two heartbeats.
pub type Time = u32;

/// Before anything: when the leases ended that somebody lets run out.
const LONG_AGO: Time = 0;

/// The lease is not the job's newest, or the job is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseLost;

/// The right to work on the job of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub job: usize,
    pub epoch: u32,
}

/// What a worker is told about the job it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    pub lease: Lease,
    pub attempt: u32,
    pub rescues: u32,
}

/// The rules, as in [`Policy`], in the model's time.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub lease: Time,
    pub max_attempts: u32,
    pub max_lost_workers: u32,
    pub max_postponement: Time,
}

impl Rules {
    /// The counts are the product's own.
    pub fn new(lease: Time, max_postponement: Time) -> Self {
        let Policy { max_attempts, max_lost_workers, .. } = Policy::default();
        Self { lease, max_attempts, max_lost_workers, max_postponement }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    pub seq: u32,
    pub kind: EventKind,
    /// Of events that tell of one.
    pub stage: Option<usize>,
}

/// A call to the model: reserved, and settled when it has an answer or nothing came.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub stage: usize,
    pub is_settled: bool,
    pub answer: Option<u32>,
}

/// A stage that was begun.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stage {
    pub output: Option<u32>,
}

/// A job's row, with the rows that hang on it.
#[derive(Debug, Clone)]
pub struct Job {
    pub status: JobStatus,
    pub attempt: u32,
    pub rescues: u32,
    pub epoch: u32,
    pub lease_until: Option<Time>,
    pub next_attempt_at: Option<Time>,
    pub is_cancel_requested: bool,
    pub is_retried: bool,
    /// The first stage that the last retry named.
    pub retried_from: Option<usize>,
    /// When it was submitted or last retried; of two jobs the older one goes first.
    pub queued_at: Time,
    pub version: u32,
    pub failure: Option<FailureCode>,
    pub cost: u32,
    pub events: Vec<Event>,
    pub stages: [Option<Stage>; STAGES],
    pub calls: Vec<Call>,
    /// Writes to any of these rows, for the one who watches.
    pub writes: u32,
}

impl Job {
    /// Whether the lease is the job's newest, and the job runs.
    pub fn is_held_under(&self, lease: Lease) -> bool {
        self.epoch == lease.epoch && self.status == JobStatus::Running
    }

    /// What a stage made, when it is finished.
    pub fn output(&self, stage: usize) -> Option<u32> {
        self.stages[stage].and_then(|stage| stage.output)
    }

    /// The answer to the call of a stage.
    pub fn answer(&self, stage: usize) -> Option<u32> {
        self.calls.iter().filter(|call| call.stage == stage).find_map(|call| call.answer)
    }
}

/// All rows.
#[derive(Debug)]
pub struct Model {
    pub now: Time,
    pub rules: Rules,
    pub jobs: Vec<Job>,
    pub defect: Option<Defect>,
    /// The process that asks is killed while it is being served.
    pub is_asker_dying: bool,
}

impl Model {
    pub fn new(rules: Rules, defect: Option<Defect>) -> Self {
        Self { now: LONG_AGO + 1, rules, jobs: Vec::with_capacity(4), defect, is_asker_dying: false }
    }

    pub fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// Accepts a job and gives its number.
    pub fn submit(&mut self) -> usize {
        let mut events = Vec::with_capacity(32);
        events.push(Event { seq: 1, kind: EventKind::JobQueued, stage: None });
        self.jobs.push(Job {
            status: JobStatus::Queued,
            attempt: 0,
            rescues: 0,
            epoch: 0,
            lease_until: None,
            next_attempt_at: None,
            is_cancel_requested: false,
            is_retried: false,
            retried_from: None,
            queued_at: self.now,
            version: 1,
            failure: None,
            cost: 0,
            events,
            stages: [None; STAGES],
            calls: Vec::with_capacity(8),
            writes: 1,
        });
        self.jobs.len() - 1
    }

    /// The jobs that a claim may take now: those whose lease ran out first, or else the oldest ones that are due. The
    /// databases choose among equals as they like.
    pub fn next_jobs(&self) -> Vec<usize> {
        let orphans = self.first_of(|job| job.lease_until.filter(|_| self.is_orphaned(job)));
        if orphans.is_empty() { self.first_of(|job| self.is_due(job).then_some(job.queued_at)) } else { orphans }
    }

    fn first_of(&self, key: impl Fn(&Job) -> Option<Time>) -> Vec<usize> {
        let mut first = Vec::new();
        let mut least = Time::MAX;
        for (number, job) in self.jobs.iter().enumerate() {
            let Some(key) = key(job) else { continue };
            if key < least {
                first.clear();
                least = key;
            }
            if key == least {
                first.push(number);
            }
        }
        first
    }

    /// Takes one of [`Model::next_jobs`].
    pub fn claim(&mut self, number: usize) -> Claimed {
        let (lease_until, is_counted_later) =
            (self.now + self.rules.lease, self.has(Defect::AttemptCountedAfterTheWork));
        let is_rescue_counted = !self.has(Defect::LostWorkerNotCounted);
        let job = &mut self.jobs[number];
        match job.status {
            JobStatus::Queued if is_counted_later => {}
            JobStatus::Queued => job.attempt += 1,
            _ => job.rescues += u32::from(is_rescue_counted),
        }
        job.status = JobStatus::Running;
        job.epoch += 1;
        job.lease_until = Some(lease_until);
        job.next_attempt_at = None;
        let claimed =
            Claimed { lease: Lease { job: number, epoch: job.epoch }, attempt: job.attempt, rescues: job.rescues };
        self.commit(number, EventKind::JobStarted, None);
        claimed
    }

    pub fn heartbeat(&mut self, lease: Lease) -> Heartbeat {
        let lease_until = self.now + self.rules.lease;
        let answer = if self.has(Defect::HeartbeatRevivesALostLease) && self.jobs[lease.job].lease_until.is_some() {
            self.told(lease.job)
        } else {
            self.check(lease)
        };
        if answer != Heartbeat::Lost {
            let job = &mut self.jobs[lease.job];
            job.lease_until = Some(lease_until);
            job.writes += 1;
        }
        answer
    }

    pub fn check(&self, lease: Lease) -> Heartbeat {
        if self.jobs[lease.job].is_held_under(lease) { self.told(lease.job) } else { Heartbeat::Lost }
    }

    fn told(&self, number: usize) -> Heartbeat {
        if self.jobs[number].is_cancel_requested { Heartbeat::CancelRequested } else { Heartbeat::Held }
    }

    /// For a process that is alone with its database. Gives how many leases there were.
    pub fn expire_leases(&mut self) -> u64 {
        let mut expired = 0;
        for job in &mut self.jobs {
            if job.lease_until.is_some_and(|until| until > LONG_AGO) {
                job.lease_until = Some(LONG_AGO);
                job.writes += 1;
                expired += 1;
            }
        }
        expired
    }

    /// Nothing is written unless the lease is the job's newest and the job runs.
    fn fence(&self, lease: Lease) -> Result<(), LeaseLost> {
        let job = &self.jobs[lease.job];
        let is_open_to_all = self.has(Defect::NoFence) && job.status == JobStatus::Running;
        if job.is_held_under(lease) || is_open_to_all { Ok(()) } else { Err(LeaseLost) }
    }

    /// A change of the job and the event that tells of it, together.
    fn commit(&mut self, number: usize, kind: EventKind, stage: Option<usize>) {
        let is_event_lost = self.has(Defect::EventOutsideTheTransaction) && self.is_asker_dying;
        let job = &mut self.jobs[number];
        job.version += 1;
        job.writes += 1;
        if !is_event_lost {
            job.events.push(Event { seq: job.version, kind, stage });
        }
    }

    fn is_due(&self, job: &Job) -> bool {
        job.status == JobStatus::Queued && job.next_attempt_at.is_none_or(|due| due <= self.now)
    }

    fn is_expired(&self, job: &Job) -> bool {
        job.status == JobStatus::Running && job.lease_until.is_some_and(|until| until <= self.now)
    }

    /// Whether only its end is before a job whose worker was lost.
    fn is_hopeless(&self, job: &Job) -> bool {
        let is_canceled = job.is_cancel_requested && !self.has(Defect::CanceledJobsAreClaimed);
        is_canceled || job.rescues + 1 >= self.rules.max_lost_workers
    }

    fn is_orphaned(&self, job: &Job) -> bool {
        self.is_expired(job) && !self.is_hopeless(job)
    }
}
