//! The rules that hold at every step, and the one who watches: it keeps its own books beside the store's.

use domain::{FailureCode, JobStatus};
use jobs::{EventKind, Heartbeat};

use super::model::{COST, Job, Lease, Model, STAGES, Time};

/// What always holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A worker whose lease is not the job's newest, or whose job is over, changes nothing.
    OnlyTheNewestLeaseWrites,
    /// Nor is it told to go on.
    OnlyTheNewestLeaseIsHeld,
    /// A job is claimed, or ended by a sweep, only when nobody's lease for it lasts.
    NobodyTakesAHeldJob,
    /// Each claim raises the epoch by one, and nothing else changes it.
    EpochsOnlyGrow,
    /// Every change is told by one event; the version is the last one's number.
    EventsAreDense,
    /// A job has one end, and nothing follows but a retry.
    OneEndForEachRun,
    /// A job fails by itself at most so often.
    AttemptsAreBounded,
    /// A job is given up as poisoned after three lost workers: not before, not later.
    LostWorkersAreBounded,
    /// A job that is to be canceled is no other worker's.
    CanceledJobsAreNotClaimed,
    /// A stage's output stays as it was written first.
    OutputsAreWrittenOnce,
    /// What a job costs is the sum of its settled calls.
    CallsAreCountedOnce,
    /// Nobody may call the model for a stage that is finished or whose answer is stored.
    FinishedStagesAreNotPaidAgain,
    /// A fault makes at most one call per slot be paid again.
    RepeatsAreBounded,
    /// The status, the lease and the request to cancel fit together.
    RowsAreConsistent,
    /// When nothing breaks any more, every job ends.
    EveryJobEnds,
}

/// What was seen of a job so far.
#[derive(Debug, Clone)]
struct Seen {
    writes: u32,
    status: JobStatus,
    epoch: u32,
    lease_until: Option<Time>,
    is_cancel_requested: bool,
    events: usize,
    is_over: bool,
    outputs: [Option<u32>; STAGES],
    /// In this run: attempts that failed, and workers that were lost one after the other.
    failures: u32,
    losses: u32,
}

impl Seen {
    /// What it takes a job for that it has not seen yet.
    const NEW: Self = Self {
        writes: 0,
        status: JobStatus::Queued,
        epoch: 0,
        lease_until: None,
        is_cancel_requested: false,
        events: 0,
        is_over: false,
        outputs: [None; STAGES],
        failures: 0,
        losses: 0,
    };
}

/// The one who watches.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: Vec<Seen>,
}

/// Where a worker's write begins.
#[derive(Debug)]
pub(crate) struct Before {
    lease: Lease,
    writes: u32,
    may_write: bool,
}

impl Watch {
    pub(crate) fn before(model: &Model, lease: Lease) -> Before {
        let job = &model.jobs[lease.job];
        Before { lease, writes: job.writes, may_write: job.is_held_under(lease) }
    }

    pub(crate) fn after(model: &Model, before: &Before) -> Result<(), Rule> {
        let is_written = model.jobs[before.lease.job].writes != before.writes;
        holds(before.may_write || !is_written, Rule::OnlyTheNewestLeaseWrites)
    }

    pub(crate) fn told(before: &Before, answer: Heartbeat) -> Result<(), Rule> {
        holds(before.may_write || answer == Heartbeat::Lost, Rule::OnlyTheNewestLeaseIsHeld)
    }

    /// An attempt has failed, and another one follows.
    pub(crate) fn failed(&mut self, model: &Model, job: usize) -> Result<(), Rule> {
        self.seen[job].failures += 1;
        holds(self.seen[job].failures < model.rules.max_attempts, Rule::AttemptsAreBounded)
    }

    /// Looks at every job that has changed.
    pub(crate) fn look(&mut self, model: &Model) -> Result<(), Rule> {
        self.seen.resize(model.jobs.len(), Seen::NEW);
        for (job, seen) in model.jobs.iter().zip(&mut self.seen).filter(|(job, seen)| job.writes != seen.writes) {
            seen.look(job, model)?;
        }
        Ok(())
    }
}

impl Seen {
    fn look(&mut self, job: &Job, model: &Model) -> Result<(), Rule> {
        holds(job.version as usize == job.events.len(), Rule::EventsAreDense)?;
        let mut is_claimed = false;
        while let Some(event) = job.events.get(self.events) {
            self.events += 1;
            holds(event.seq as usize == self.events, Rule::EventsAreDense)?;
            holds(self.is_over == (event.kind == EventKind::JobRetried), Rule::OneEndForEachRun)?;
            match event.kind {
                EventKind::JobStarted => {
                    is_claimed = true;
                    self.claimed(model)?;
                }
                EventKind::JobRetried => self.begun_anew(job),
                // Its worker lives: the next one that is lost is the first in a row.
                EventKind::JobQueued | EventKind::JobRetrying => self.losses = 0,
                EventKind::JobFailed if job.failure == Some(FailureCode::Poisoned) => self.poisoned(model)?,
                EventKind::StageSucceeded => {
                    let stage = event.stage.expect("of a stage");
                    holds(self.outputs[stage].is_none(), Rule::OutputsAreWrittenOnce)?;
                    self.outputs[stage] = job.output(stage);
                }
                _ => {}
            }
            self.is_over = event.kind.is_terminal();
        }
        holds(job.epoch == self.epoch + u32::from(is_claimed), Rule::EpochsOnlyGrow)?;
        holds(job.status.is_terminal() == self.is_over, Rule::OneEndForEachRun)?;
        holds((job.status == JobStatus::Running) == job.lease_until.is_some(), Rule::RowsAreConsistent)?;
        holds(job.status != JobStatus::Queued || !job.is_cancel_requested, Rule::RowsAreConsistent)?;
        holds(job.attempt <= model.rules.max_attempts, Rule::AttemptsAreBounded)?;
        for (stage, output) in self.outputs.iter().enumerate() {
            holds(job.output(stage) == *output, Rule::OutputsAreWrittenOnce)?;
        }
        let settled = job.calls.iter().filter(|call| call.is_settled).count();
        holds(job.cost as usize == settled * COST as usize, Rule::CallsAreCountedOnce)?;
        self.writes = job.writes;
        (self.status, self.epoch, self.lease_until) = (job.status, job.epoch, job.lease_until);
        self.is_cancel_requested = job.is_cancel_requested;
        Ok(())
    }

    fn claimed(&mut self, model: &Model) -> Result<(), Rule> {
        if self.status != JobStatus::Running {
            return Ok(());
        }
        self.losses += 1;
        holds(self.lease_until.is_some_and(|until| until <= model.now), Rule::NobodyTakesAHeldJob)?;
        holds(!self.is_cancel_requested, Rule::CanceledJobsAreNotClaimed)?;
        holds(self.losses < model.rules.max_lost_workers, Rule::LostWorkersAreBounded)
    }

    fn poisoned(&mut self, model: &Model) -> Result<(), Rule> {
        self.losses += 1;
        holds(self.lease_until.is_some_and(|until| until <= model.now), Rule::NobodyTakesAHeldJob)?;
        holds(self.losses == model.rules.max_lost_workers, Rule::LostWorkersAreBounded)
    }

    /// A retry forgets the outputs from one stage on.
    fn begun_anew(&mut self, job: &Job) {
        (self.failures, self.losses) = (0, 0);
        for (stage, output) in self.outputs.iter_mut().enumerate() {
            *output = output.take_if(|_| job.output(stage).is_some());
        }
    }
}

/// The rule is broken unless it holds.
pub(crate) fn holds(it_does: bool, rule: Rule) -> Result<(), Rule> {
    if it_does { Ok(()) } else { Err(rule) }
}
