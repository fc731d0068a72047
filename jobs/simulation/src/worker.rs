//! A worker of a simulation: in each slot an attempt, which goes through its job's stages as `worker/src/attempt.rs` and
//! `pipeline/src/run.rs` do, one request to the store or to the model service at a time.

use jobs::{Heartbeat, Requeued};

use super::defects::Defect;
use super::model::{Lease, LeaseLost, Model, STAGES, Time};
use super::watch::{Rule, holds};
use super::world::World;

pub(crate) const WORKERS: usize = 3;
pub(crate) const SLOTS: usize = 2;
/// A third of a lease.
const HEARTBEAT: Time = 1;
const MAX_DELAY: Time = 5;
/// Of so many steps in the faulty time, one goes wrong by itself.
const MISHAP: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Up,
    /// Hands everything back, then is down.
    Stopping,
    Hanging,
    Down,
}

#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) health: Health,
    slots: [Option<Attempt>; SLOTS],
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    lease: Lease,
    step: Step,
    /// What the heartbeat has told the work, and the work has not heeded yet.
    stop: Option<Stop>,
    /// When the lease was last renewed. A heartbeat that has told the work to stop does not go on.
    renewed_at: Option<Time>,
    /// The answer at hand.
    answer: u32,
}

#[derive(Debug, Clone, Copy)]
enum Stop {
    LeaseLost,
    CancelRequested,
}

/// What an attempt does next.
#[derive(Debug, Clone, Copy)]
enum Step {
    LoadStage(usize),
    StartStage(usize),
    LoadCall(usize),
    ReserveCall(usize),
    /// The service begins to work, and to bill.
    Send {
        stage: usize,
        call: usize,
    },
    Receive {
        stage: usize,
        call: usize,
    },
    SettleCall {
        stage: usize,
        call: usize,
    },
    SaveStage(usize),
    ForgetAnswers(usize),
    End(End),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Succeed,
    Fail,
    ConfirmCancel,
    Requeue(Time),
    Postpone(Time),
    Release,
}

impl Worker {
    pub(crate) const NEW: Self = Self { health: Health::Up, slots: [None; SLOTS] };
    pub(crate) const DEAD: Self = Self { health: Health::Down, slots: [None; SLOTS] };

    pub(crate) fn hand_all_back(&mut self) {
        self.health = Health::Stopping;
        for attempt in self.slots.iter_mut().flatten() {
            (attempt.step, attempt.stop) = (Step::End(End::Release), None);
        }
    }

    pub(crate) fn is_beat_due(&self, slot: usize, now: Time) -> bool {
        let renewed_at = self.slots[slot].and_then(|attempt| attempt.renewed_at);
        !self.is_away() && renewed_at.is_some_and(|renewed_at| now >= renewed_at + HEARTBEAT)
    }

    /// Whether a slot has been told to stop and has not done so yet.
    pub(crate) fn must_stop(&self, slot: usize) -> bool {
        !self.is_away() && self.slots[slot].is_some_and(|attempt| attempt.stop.is_some())
    }

    pub(crate) fn is_free(&self, slot: usize) -> bool {
        self.slots[slot].is_none()
    }

    pub(crate) fn is_away(&self) -> bool {
        matches!(self.health, Health::Hanging | Health::Down)
    }
}

impl World {
    /// A slot's next step, if its worker can make one.
    pub(crate) fn work(&mut self, worker: usize, slot: usize) -> Result<(), Rule> {
        if self.workers[worker].is_away() {
            return Ok(());
        }
        let Some(mut attempt) = self.workers[worker].slots[slot] else {
            self.begin(worker, slot);
            return Ok(());
        };
        // It may be in the middle of a step when it is told.
        if let Some(stop) = attempt.stop
            && !self.random.one_in(4)
        {
            attempt.stop = None;
            attempt.step = Step::End(End::ConfirmCancel);
            let goes_on = matches!(stop, Stop::CancelRequested);
            self.note(|_| format!("worker {worker}.{slot} drops the work on job {}: {stop:?}", attempt.lease.job));
            self.workers[worker].slots[slot] = goes_on.then_some(attempt);
            return Ok(());
        }
        let is_deadly = matches!(attempt.step, Step::Send { stage: 1, .. });
        if is_deadly && self.poisonous == Some(attempt.lease.job) {
            self.crash(worker);
            return Ok(());
        }
        let step = attempt.step;
        let next = self.take(&mut attempt)?;
        self.note(|_| format!("worker {worker}.{slot} {step:?} of {:?} -> {next:?}", attempt.lease));
        self.workers[worker].slots[slot] = next.map(|step| Attempt { step, ..attempt });
        Ok(())
    }

    /// An empty slot claims a job, or lets its worker end.
    fn begin(&mut self, worker: usize, slot: usize) {
        if self.workers[worker].health == Health::Stopping {
            if self.workers[worker].slots.iter().all(Option::is_none) {
                self.workers[worker].health = Health::Down;
            }
            return;
        }
        let is_unheard = self.is_unheard();
        let next = self.model.next_jobs();
        if next.is_empty() {
            return;
        }
        let claimed = self.model.claim(next[self.random.below(next.len())]);
        self.tally.rescued += u64::from(claimed.rescues > 0);
        self.note(|_| format!("worker {worker}.{slot} claims {:?}, unheard: {is_unheard}", claimed.lease));
        if !is_unheard {
            let (lease, step) = (claimed.lease, self.first_step(0));
            let attempt = Attempt { lease, step, stop: None, renewed_at: Some(self.model.now), answer: 0 };
            self.workers[worker].slots[slot] = Some(attempt);
        }
    }

    /// Renews a slot's lease, or looks at it when that is not due yet.
    pub(crate) fn beat(&mut self, worker: usize, slot: usize) -> Result<(), Rule> {
        let Some(mut attempt) = self.workers[worker].slots[slot] else { return Ok(()) };
        let Some(renewed_at) = attempt.renewed_at.filter(|_| !self.workers[worker].is_away()) else { return Ok(()) };
        let now = self.model.now;
        let is_beat = now >= renewed_at + HEARTBEAT;
        let told = self.ask_heart(attempt.lease, is_beat)?;
        let stop = match told {
            Some(Heartbeat::Held) => None,
            Some(Heartbeat::CancelRequested) => Some(Stop::CancelRequested),
            Some(Heartbeat::Lost) => Some(Stop::LeaseLost),
            // The model's rows are never locked, so it is only ever silence.
            Some(Heartbeat::Delayed) | None => (now >= renewed_at + self.model.rules.lease).then_some(Stop::LeaseLost),
        };
        let is_renewed = is_beat && told.is_some();
        attempt.renewed_at = if is_renewed { Some(now) } else { Some(renewed_at) }.filter(|_| stop.is_none());
        // The word on how the attempt ended is written whatever the heartbeat says.
        attempt.stop = stop.filter(|_| !matches!(attempt.step, Step::End(_)));
        self.note(|_| format!("worker {worker}.{slot} beats for {:?} -> {told:?}", attempt.lease));
        self.workers[worker].slots[slot] = Some(attempt);
        Ok(())
    }

    /// Takes the attempt's step and gives the next one; `None` when the attempt is over.
    fn take(&mut self, attempt: &mut Attempt) -> Result<Option<Step>, Rule> {
        let lease = attempt.lease;
        let job = lease.job;
        let has_mishap = !self.is_calm && self.random.one_in(MISHAP);
        match attempt.step {
            Step::LoadStage(_) if has_mishap => Ok(Some(self.break_off())),
            Step::LoadStage(stage) => Ok(Some(match self.model.jobs[job].output(stage) {
                Some(_) => self.step_after(stage),
                None => Step::StartStage(stage),
            })),
            Step::StartStage(stage) => {
                let asked = self.ask(lease, |model| model.start_stage(lease, stage), |_, ()| Ok(()))?;
                Ok(self.impatiently(asked, |()| Step::LoadCall(stage)))
            }
            Step::LoadCall(stage) => Ok(Some(match self.model.jobs[job].answer(stage) {
                Some(answer) => {
                    attempt.answer = answer;
                    Step::SaveStage(stage)
                }
                None => Step::ReserveCall(stage),
            })),
            Step::ReserveCall(stage) => {
                let asked = self.ask(
                    lease,
                    |model| model.reserve_call(lease, stage),
                    |world, _| {
                        let job = &world.model.jobs[job];
                        let is_known = job.output(stage).is_some() || job.answer(stage).is_some();
                        holds(!is_known, Rule::FinishedStagesAreNotPaidAgain)
                    },
                )?;
                Ok(self.impatiently(asked, |call| Step::Send { stage, call }))
            }
            Step::Send { stage, call } => {
                self.pay(job, stage)?;
                attempt.answer = self.ledger.calls;
                Ok(Some(Step::Receive { stage, call }))
            }
            // The job's time is over.
            Step::Receive { .. } if has_mishap => Ok(Some(Step::End(End::Fail))),
            Step::Receive { stage, .. } if self.model.has(Defect::NothingIsStoredUntilTheEnd) => {
                Ok(Some(self.step_after(stage)))
            }
            Step::Receive { stage, call } => Ok(Some(Step::SettleCall { stage, call })),
            Step::SettleCall { stage, call } => {
                let answer = attempt.answer;
                let asked = self.ask(lease, |model| model.settle_call(lease, call, answer), |_, ()| Ok(()))?;
                let next = if has_mishap { Step::ForgetAnswers(stage) } else { Step::SaveStage(stage) };
                Ok(self.patiently(attempt.step, asked, |()| Some(next)))
            }
            Step::SaveStage(stage) => {
                let answer = attempt.answer;
                let asked = self.ask(lease, |model| model.save_stage(lease, stage, answer), |_, ()| Ok(()))?;
                let next = self.step_after(stage);
                Ok(self.patiently(attempt.step, asked, |()| Some(next)))
            }
            // The answers came to nothing, so they are asked for again.
            Step::ForgetAnswers(stage) => {
                let asked = self.ask(
                    lease,
                    |model| model.forget_answers(lease, stage),
                    |world, ()| {
                        world.ledger.paid[job][stage] = 0;
                        Ok(())
                    },
                )?;
                let delay = self.random.time_below(MAX_DELAY);
                Ok(self.impatiently(asked, |()| Step::End(End::Requeue(delay))))
            }
            Step::End(end) => {
                let asked = self.ask(
                    lease,
                    |model| end.write(model, lease),
                    |world, requeued| {
                        let has_failed = matches!((end, requeued), (End::Requeue(_), Some(Requeued::Retrying)));
                        if has_failed { world.watch.failed(&world.model, job) } else { Ok(()) }
                    },
                )?;
                Ok(self.patiently(attempt.step, asked, |_| None))
            }
        }
    }

    fn first_step(&self, stage: usize) -> Step {
        if self.model.has(Defect::StageIsNotLookedUp) { Step::ReserveCall(stage) } else { Step::LoadStage(stage) }
    }

    fn step_after(&self, stage: usize) -> Step {
        if stage + 1 < STAGES { self.first_step(stage + 1) } else { Step::End(End::Succeed) }
    }

    /// An attempt that comes to nothing.
    fn break_off(&mut self) -> Step {
        let delay = self.random.time_below(MAX_DELAY);
        let ends = [End::Fail, End::Requeue(0), End::Requeue(delay), End::Postpone(delay), End::Postpone(100)];
        Step::End(ends[self.random.below(ends.len())])
    }

    fn pay(&mut self, job: usize, stage: usize) -> Result<(), Rule> {
        self.ledger.calls += 1;
        self.ledger.paid[job][stage] += 1;
        if self.ledger.paid[job][stage] > 1 {
            self.ledger.repeats += 1;
            self.tally.repeats += 1;
        }
        holds(self.ledger.repeats <= self.ledger.faults * SLOTS, Rule::RepeatsAreBounded)
    }

    /// A write that is not repeated: unheard, it fails the attempt.
    fn impatiently<T>(&mut self, asked: Option<Result<T, LeaseLost>>, next: impl FnOnce(T) -> Step) -> Option<Step> {
        match asked {
            Some(Ok(value)) => Some(next(value)),
            Some(Err(LeaseLost)) => None,
            None => Some(Step::End(End::Requeue(self.random.time_below(MAX_DELAY)))),
        }
    }

    /// A write that is repeated until it is heard, or until the patience ends.
    fn patiently<T>(
        &mut self,
        again: Step,
        asked: Option<Result<T, LeaseLost>>,
        next: impl FnOnce(T) -> Option<Step>,
    ) -> Option<Step> {
        match asked {
            Some(Ok(value)) => next(value),
            Some(Err(LeaseLost)) => None,
            None => (!self.random.one_in(4)).then_some(again),
        }
    }
}

impl End {
    /// Gives what became of a job that was to wait.
    fn write(self, model: &mut Model, lease: Lease) -> Result<Option<Requeued>, LeaseLost> {
        match self {
            Self::Succeed => model.succeed(lease).map(|()| None),
            Self::Fail => model.fail(lease).map(|()| None),
            Self::ConfirmCancel => model.confirm_cancel(lease).map(|()| None),
            Self::Requeue(delay) => model.requeue(lease, delay).map(Some),
            Self::Postpone(delay) => model.postpone(lease, delay).map(Some),
            Self::Release => model.release(lease).map(|()| None),
        }
    }
}
