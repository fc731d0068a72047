//! One schedule: workers, a sweep, clients and a clock around one store, each doing one small step when it is its turn.
//!
//! Whose turn it is, and what breaks, is chance from the schedule's seed. At first workers are killed, hang and come
//! back, and the store does not hear them or is not heard; then nothing breaks any more, and every job must end.

use domain::JobStatus;
use jobs::{Heartbeat, Retrial};

use super::defects::Defect;
use super::model::{Lease, LeaseLost, Model, Rules, STAGES, Time};
use super::random::Random;
use super::watch::{Rule, Watch, holds};
use super::worker::{Health, SLOTS, WORKERS, Worker};

/// Lease and heartbeat are to each other as in the product.
const LEASE: Time = 3;
const MAX_POSTPONEMENT: Time = 20;
const MAX_JOBS: usize = 3;
/// Steps within which every job ends when nothing breaks any more. A few hundred are enough.
const PATIENCE: usize = 5_000;

/// What the schedules came across: a rule that nothing puts to the test proves nothing.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) steps: u64,
    pub(crate) crashes: u64,
    pub(crate) hangs: u64,
    pub(crate) shutdowns: u64,
    pub(crate) unheard: u64,
    pub(crate) refused: u64,
    pub(crate) rescued: u64,
    pub(crate) poisoned: u64,
    pub(crate) canceled: u64,
    pub(crate) retried: u64,
    pub(crate) repeats: u64,
}

/// What the model service has been paid for.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Calls for each stage of each job in this run.
    pub(crate) paid: Vec<[u32; STAGES]>,
    /// All calls; the number of a call is its answer.
    pub(crate) calls: u32,
    /// Calls that were made before in the same run.
    pub(crate) repeats: usize,
    /// What broke: each may cost a call for each slot of a worker.
    pub(crate) faults: usize,
}

pub(crate) struct World {
    pub(crate) model: Model,
    pub(crate) watch: Watch,
    pub(crate) random: Random,
    pub(crate) workers: [Worker; WORKERS],
    pub(crate) ledger: Ledger,
    pub(crate) tally: Tally,
    /// Kills every worker that works on it.
    pub(crate) poisonous: Option<usize>,
    /// Whether nothing breaks any more.
    pub(crate) is_calm: bool,
    /// Of so many requests to the store, one is not heard, or its answer is not.
    unreliability: usize,
    /// Jobs that a sweep has found and not ended yet.
    swept: Vec<Lease>,
    trace: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(seed: u64, defect: Option<Defect>, is_traced: bool) -> Self {
        let mut random = Random::new(seed);
        let mut world = Self {
            model: Model::new(Rules::new(LEASE, MAX_POSTPONEMENT), defect),
            watch: Watch::default(),
            workers: [Worker::NEW; WORKERS],
            ledger: Ledger::default(),
            tally: Tally::default(),
            poisonous: random.one_in(8).then_some(0),
            is_calm: false,
            unreliability: [8, 32, usize::MAX][random.below(3)],
            swept: Vec::new(),
            trace: is_traced.then(Vec::new),
            random,
        };
        for _ in 0..=world.random.below(MAX_JOBS) {
            world.model.submit();
            world.ledger.paid.push([0; STAGES]);
        }
        world
    }

    /// Runs the schedule to its end, or to the first step that breaks a rule.
    pub(crate) fn run(&mut self) -> Result<(), Rule> {
        self.watch.look(&self.model)?;
        let faulty_steps = 20 + self.random.below(80);
        for _ in 0..faulty_steps {
            self.step_while_things_break()?;
        }
        self.note(|_| "nothing breaks any more".to_owned());
        self.is_calm = true;
        for _ in 0..PATIENCE {
            if self.model.jobs.iter().all(|job| job.status.is_terminal()) {
                return Ok(());
            }
            self.step_in_the_calm()?;
        }
        Err(Rule::EveryJobEnds)
    }

    /// What happened, step by step.
    pub(crate) fn into_trace(self) -> Vec<String> {
        self.trace.unwrap_or_default()
    }

    pub(crate) fn note(&mut self, text: impl FnOnce(&Self) -> String) {
        let Some(mut trace) = self.trace.take() else { return };
        trace.push(format!("{:>3}  {}", self.model.now, text(self)));
        self.trace = Some(trace);
    }

    fn step_while_things_break(&mut self) -> Result<(), Rule> {
        let (worker, slot) = self.anybody();
        match self.random.below(64) {
            0 => self.crash_in_the_middle(worker, slot)?,
            1..3 => self.hang(worker),
            3 => self.shut_down(worker),
            4..8 => self.come_back(worker),
            8 => self.cancel(),
            9 => self.retry(),
            10..16 => self.sweep()?,
            16..24 => self.pass_time()?,
            24..32 => self.beat(worker, slot)?,
            _ => self.work(worker, slot)?,
        }
        self.look()
    }

    fn step_in_the_calm(&mut self) -> Result<(), Rule> {
        let (mut worker, mut slot) = self.anybody();
        if self.workers[worker].is_free(slot) {
            // One that has a job is more likely to be next: it would be anyway, but later.
            (worker, slot) = self.anybody();
        }
        match self.random.below(16) {
            _ if self.workers[worker].is_away() => self.come_back(worker),
            0 => self.sweep()?,
            1..3 => self.pass_time()?,
            3 => self.beat(worker, slot)?,
            _ => self.work(worker, slot)?,
        }
        self.look()
    }

    fn anybody(&mut self) -> (usize, usize) {
        (self.random.below(WORKERS), self.random.below(SLOTS))
    }

    fn look(&mut self) -> Result<(), Rule> {
        self.tally.steps += 1;
        self.watch.look(&self.model)
    }

    /// `kill -9`, with a slot's request on its way: served in full, in part, or not at all.
    fn crash_in_the_middle(&mut self, worker: usize, slot: usize) -> Result<(), Rule> {
        if self.random.one_in(2) {
            self.model.is_asker_dying = true;
            let outcome = self.work(worker, slot);
            self.model.is_asker_dying = false;
            outcome?;
        }
        self.crash(worker);
        Ok(())
    }

    pub(crate) fn crash(&mut self, worker: usize) {
        if self.workers[worker].health != Health::Down {
            self.note(|_| format!("worker {worker} is killed"));
            self.workers[worker] = Worker::DEAD;
            self.ledger.faults += 1;
            self.tally.crashes += 1;
        }
    }

    /// SIGSTOP, a machine that swaps, a virtual machine that is moved: it does not know that time passes.
    fn hang(&mut self, worker: usize) {
        if self.workers[worker].health == Health::Up {
            self.note(|_| format!("worker {worker} hangs"));
            self.workers[worker].health = Health::Hanging;
            self.ledger.faults += 1;
            self.tally.hangs += 1;
        }
    }

    /// SIGTERM: what it works on is handed back.
    fn shut_down(&mut self, worker: usize) {
        if self.workers[worker].health == Health::Up {
            self.note(|_| format!("worker {worker} shuts down"));
            self.workers[worker].hand_all_back();
            self.ledger.faults += 1;
            self.tally.shutdowns += 1;
        }
    }

    fn come_back(&mut self, worker: usize) {
        match self.workers[worker].health {
            Health::Up | Health::Stopping => return,
            Health::Hanging => {}
            Health::Down => self.take_over_if_alone(),
        }
        self.note(|_| format!("worker {worker} is back"));
        self.workers[worker].health = Health::Up;
    }

    /// A process that knows it is alone with its database need not wait for leases.
    fn take_over_if_alone(&mut self) {
        let is_alone = self.workers.iter().all(|worker| worker.health == Health::Down);
        if is_alone && self.random.one_in(2) {
            let expired = self.model.expire_leases();
            self.note(|_| format!("{expired} leases are ended early"));
            // A sweep of before belongs to a process that is gone.
            self.swept.clear();
        }
    }

    fn cancel(&mut self) {
        let job = self.random.below(self.model.jobs.len());
        let cancellation = self.model.cancel(job);
        self.note(|_| format!("job {job} is to be canceled: {cancellation:?}"));
    }

    fn retry(&mut self) {
        let job = self.random.below(self.model.jobs.len());
        let from = [None, Some(self.random.below(STAGES))][self.random.below(2)];
        let retrial = self.model.retry(job, from);
        self.note(|_| format!("job {job} is to be retried from {from:?}: {retrial:?}"));
        if retrial == Retrial::Queued {
            self.ledger.paid[job] = [0; STAGES];
            self.tally.retried += 1;
        }
    }

    /// Looks for lost jobs, or ends one that was found: anything may have happened in between.
    fn sweep(&mut self) -> Result<(), Rule> {
        let Some(lease) = self.swept.pop() else {
            self.swept = self.model.look().hopeless;
            return Ok(());
        };
        let is_expired = self.model.jobs[lease.job].lease_until.is_none_or(|until| until <= self.model.now);
        let ended = self.model.end_hopeless(lease);
        self.note(|_| format!("the sweep ends {lease:?}: {ended:?}"));
        self.tally.poisoned += u64::from(ended == Ok(JobStatus::Failed));
        self.tally.canceled += u64::from(ended == Ok(JobStatus::Canceled));
        holds(is_expired || ended.is_err(), Rule::NobodyTakesAHeldJob)
    }

    /// Time does not run away from a worker that works: what its heartbeats have to do is done first.
    fn pass_time(&mut self) -> Result<(), Rule> {
        for worker in 0..WORKERS {
            for slot in 0..SLOTS {
                if self.workers[worker].is_beat_due(slot, self.model.now) {
                    self.beat(worker, slot)?;
                }
                if self.workers[worker].must_stop(slot) {
                    return self.work(worker, slot);
                }
            }
        }
        self.model.now += 1;
        Ok(())
    }

    /// Asks the store to write for the holder of `lease`. `None`: the answer is not heard, whatever was done.
    pub(crate) fn ask<T: Copy + std::fmt::Debug>(
        &mut self,
        lease: Lease,
        write: impl FnOnce(&mut Model) -> Result<T, LeaseLost>,
        done: impl FnOnce(&mut Self, T) -> Result<(), Rule>,
    ) -> Result<Option<Result<T, LeaseLost>>, Rule> {
        let is_unheard = self.is_unheard();
        if is_unheard && self.random.one_in(2) {
            return Ok(None);
        }
        let before = Watch::before(&self.model, lease);
        let answer = write(&mut self.model);
        Watch::after(&self.model, &before)?;
        match answer {
            Ok(value) => done(self, value)?,
            Err(LeaseLost) => self.tally.refused += 1,
        }
        Ok((!is_unheard).then_some(answer))
    }

    /// The same for a heartbeat, or for a look at the lease.
    pub(crate) fn ask_heart(&mut self, lease: Lease, is_beat: bool) -> Result<Option<Heartbeat>, Rule> {
        if self.is_unheard() {
            return Ok(None);
        }
        let before = Watch::before(&self.model, lease);
        let answer = if is_beat { self.model.heartbeat(lease) } else { self.model.check(lease) };
        Watch::told(&before, answer)?;
        Watch::after(&self.model, &before)?;
        Ok(Some(answer))
    }

    /// Whether the network or the database fails the next request.
    pub(crate) fn is_unheard(&mut self) -> bool {
        let is_unheard = !self.is_calm && self.unreliability < usize::MAX && self.random.one_in(self.unreliability);
        if is_unheard {
            self.ledger.faults += 1;
            self.tally.unheard += 1;
        }
        is_unheard
    }
}
