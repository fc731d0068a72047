//! The model of the simulation says what the store says.
//!
//! Random sequences of operations are played to both. Every answer is compared, and after every operation all there is to
//! see of every job. Leases are long and delays are nothing or very long, so that no time passes by itself: a lease runs
//! out because it is renewed under a policy of no lease at all.

use std::fmt::Debug;
use std::time::Duration;

use domain::{CallReservation, Cost, Failure, FailureCode, StageKey, StageKind, StageRecord};
use jobs::{Heartbeat, Jobs, Policy, StoreError};
use serde_json::json;
use simulation::{COST, Claimed, Defect, Lease, LeaseLost, Model, RESERVED, Random, Rules, STAGES, Time};

use crate::database::{Database, on_postgres, on_sqlite};
use crate::sample::{failure, reservation, result, settlement, spec, worker};

/// Another first one is taken from the environment.
const SEED: &str = "TINYGEN_SIMULATION_SEED";
const SEQUENCES: u64 = 8;
/// In which a mistake must show: some need a rare order of things.
const SEQUENCES_FOR_A_MISTAKE: u64 = 80;
const OPERATIONS: usize = 80;
const MAX_JOBS: usize = 3;
const KINDS: [StageKind; STAGES] = [StageKind::Plan, StageKind::Edit, StageKind::Review];
/// The model's time moves by one with every operation: these never pass.
const LEASE: Time = 1_000_000;
const HOUR: Time = 1_000_000;
const MAX_POSTPONEMENT: Time = 2 * HOUR;
/// Delays of the model, and the same ones of the store: nothing, longer than the test, longer than allowed.
const DELAYS: [(Time, Duration); 3] =
    [(0, Duration::ZERO), (HOUR, Duration::from_hours(1)), (3 * HOUR, Duration::from_hours(3))];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_and_sqlite_agree() {
    for seed in seeds(SEQUENCES) {
        on_sqlite(async |database| Box::pin(Pair::new(database, None).play(seed)).await.unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_model_and_postgres_agree() {
    for seed in seeds(SEQUENCES) {
        on_postgres(async |database| Box::pin(Pair::new(database, None).play(seed)).await.unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_with_a_mistake_is_told_from_the_store() {
    let mistakes = [
        Defect::NoFence,
        Defect::AttemptCountedAfterTheWork,
        Defect::LostWorkerNotCounted,
        Defect::EndIsOverwritten,
        Defect::HeartbeatRevivesALostLease,
        Defect::SecondOutputReplacesTheFirst,
        Defect::SettlingTwiceCountsTwice,
        Defect::RetryResetsTheEpoch,
        Defect::CanceledJobsAreClaimed,
    ];
    for mistake in mistakes {
        let mut is_told = false;
        for seed in seeds(SEQUENCES_FOR_A_MISTAKE) {
            on_sqlite(async |database| {
                is_told |= Box::pin(Pair::new(database, Some(mistake)).play(seed)).await.is_err();
            })
            .await;
            if is_told {
                break;
            }
        }
        assert!(is_told, "{mistake:?}");
    }
}

fn seeds(sequences: u64) -> std::ops::Range<u64> {
    let first = std::env::var(SEED).map_or(0, |text| text.parse().expect("a number"));
    first..first + sequences
}

/// The model and the store, and what goes by different names in them.
struct Pair {
    model: Model,
    jobs: Jobs,
    /// The store under the rule that a lease has run out as soon as it is given.
    expiring: Jobs,
    ids: Vec<domain::JobId>,
    /// All leases there ever were.
    leases: Vec<(Lease, jobs::Lease)>,
    /// All calls: the lease's job, the call's number there, and the reservation.
    calls: Vec<(usize, usize, CallReservation)>,
    random: Random,
    told: Vec<String>,
}

impl Pair {
    fn new(database: &Database, mistake: Option<Defect>) -> Self {
        let policy =
            Policy { lease: Duration::from_hours(1), max_postponement: Duration::from_hours(2), ..Policy::default() };
        // The model's database is never away.
        let policy = Policy { contact: Duration::ZERO, ..policy };
        Self {
            model: Model::new(Rules::new(LEASE, MAX_POSTPONEMENT), mistake),
            jobs: database.jobs.clone().with_policy(policy),
            expiring: database.jobs.clone().with_policy(Policy { lease: Duration::ZERO, ..policy }),
            ids: Vec::new(),
            leases: Vec::new(),
            calls: Vec::new(),
            random: Random::new(0),
            told: Vec::new(),
        }
    }

    /// Plays one sequence. The error is the first difference, after all that led to it.
    async fn play(mut self, seed: u64) -> Result<(), String> {
        self.random = Random::new(seed);
        self.submit().await;
        for _ in 0..OPERATIONS {
            self.model.now += 1;
            let outcome = self.operate().await;
            let outcome = match outcome {
                Ok(()) => self.compare_state().await,
                differs => differs,
            };
            outcome.map_err(|difference| format!("{SEED}={seed}\n{}\n{difference}", self.told.join("\n")))?;
        }
        Ok(())
    }

    /// One operation on both.
    async fn operate(&mut self) -> Result<(), String> {
        let job = self.random.below(self.ids.len());
        let stage = self.random.below(STAGES);
        match self.random.below(28) {
            0 if self.ids.len() < MAX_JOBS => self.submit().await,
            0..5 => return self.claim().await,
            5 => return self.sweep().await,
            6 => {
                let real = self.jobs.expire_leases().await.unwrap();
                let model = self.model.expire_leases();
                return self.same("expire_leases", model, real);
            }
            7 => {
                let real = self.jobs.cancel(self.ids[job]).await.unwrap();
                let model = self.model.cancel(job);
                return self.same(&format!("cancel {job}"), model, real);
            }
            8..10 => {
                let from = [None, Some(stage)][self.random.below(2)];
                let key = from.map(key);
                let real = self.jobs.retry(self.ids[job], key.as_ref()).await.unwrap();
                let model = self.model.retry(job, from);
                return self.same(&format!("retry {job} from {from:?}"), model, real);
            }
            under_a_lease => {
                if let Some((lease, real)) = self.any_lease() {
                    return self.operate_under(lease, real, stage, under_a_lease).await;
                }
            }
        }
        Ok(())
    }

    async fn operate_under(
        &mut self,
        lease: Lease,
        real: jobs::Lease,
        stage: usize,
        operation: usize,
    ) -> Result<(), String> {
        let (jobs, model, key) = (&self.jobs, &mut self.model, key(stage));
        let (delay, real_delay) = DELAYS[self.random.below(DELAYS.len())];
        let (name, expected, answer) = match operation {
            10 => ("heartbeat", told(model.heartbeat(lease)), told(jobs.heartbeat(&[real]).await.unwrap()[0])),
            11 => ("check", told(model.check(lease)), told(jobs.check(&[real]).await.unwrap()[0])),
            12..14 => {
                let expected = model.heartbeat(lease);
                if expected != Heartbeat::Lost {
                    model.jobs[lease.job].lease_until = Some(model.now);
                }
                ("expire", told(expected), told(self.expiring.heartbeat(&[real]).await.unwrap()[0]))
            }
            14..16 => ("start_stage", told(model.start_stage(lease, stage)), tell(jobs.start_stage(&real, &key).await)),
            16..19 => {
                let output = u32::try_from(self.told.len()).unwrap();
                let record = StageRecord { key, output: json!(output) };
                let answer = tell(jobs.save_stage(&real, &record).await);
                ("save_stage", told(model.save_stage(lease, stage, output)), answer)
            }
            19..21 => return self.reserve(lease, real, stage).await,
            21..23 => return self.settle(lease, real).await,
            23 => (
                "forget_answers",
                told(model.forget_answers(lease, stage)),
                tell(jobs.forget_answers(&real, &key).await),
            ),
            24 => {
                ("requeue", told(model.requeue(lease, delay)), tell(jobs.requeue(&real, &failure(), real_delay).await))
            }
            25 => (
                "postpone",
                told(model.postpone(lease, delay)),
                tell(jobs.postpone(&real, &failure(), real_delay).await),
            ),
            26 => ("release", told(model.release(lease)), tell(jobs.release(&real).await)),
            _ => match stage {
                0 => ("succeed", told(model.succeed(lease)), tell(jobs.succeed(&real, &result()).await)),
                1 => ("fail", told(model.fail(lease)), tell(jobs.fail(&real, &failure()).await)),
                _ => ("confirm_cancel", told(model.confirm_cancel(lease)), tell(jobs.confirm_cancel(&real).await)),
            },
        };
        self.same(&format!("{name} {lease:?} stage {stage} delay {delay}"), expected, answer)
    }

    async fn submit(&mut self) {
        self.ids.push(self.jobs.submit(spec()).await.unwrap().id);
        let job = self.model.submit();
        self.told.push(format!("submit {job}"));
    }

    async fn claim(&mut self) -> Result<(), String> {
        let real = self.jobs.claim(&worker()).await.unwrap();
        let next = self.model.next_jobs();
        let Some(real) = real else { return self.same("claim", next, Vec::new()) };
        let job = self.ids.iter().position(|id| *id == real.id).expect("a job of this test");
        if !next.contains(&job) {
            return self.same("claim", next, vec![job]);
        }
        let model = self.model.claim(job);
        self.leases.push((model.lease, real.lease));
        let epoch = u32::try_from(real.lease.epoch()).unwrap();
        let real = Claimed { lease: Lease { job, epoch }, attempt: real.attempt, rescues: real.rescues };
        self.same("claim", model, real)
    }

    async fn sweep(&mut self) -> Result<(), String> {
        let real = self.jobs.sweep().await.unwrap();
        let found = self.model.look();
        let ends: Vec<_> = found.hopeless.iter().map(|lease| self.model.end_hopeless(*lease)).collect();
        let count = |status| ends.iter().filter(|end| **end == Ok(status)).count();
        let model = (found.due, count(domain::JobStatus::Failed), count(domain::JobStatus::Canceled));
        self.same("sweep", model, (real.due, real.poisoned, real.canceled))
    }

    async fn reserve(&mut self, lease: Lease, real: jobs::Lease, stage: usize) -> Result<(), String> {
        let call = reservation(KINDS[stage], 0, i64::from(RESERVED));
        let answer = self.jobs.reserve_call(&real, &call).await;
        let model = self.model.reserve_call(lease, stage);
        if let Ok(number) = model {
            self.calls.push((lease.job, number, call));
        }
        self.same(&format!("reserve_call {lease:?} {stage}"), told(model.map(drop)), tell(answer))
    }

    /// A call of the lease's job, whoever reserved it.
    async fn settle(&mut self, lease: Lease, real: jobs::Lease) -> Result<(), String> {
        let of_job: Vec<_> = self.calls.iter().filter(|(job, ..)| *job == lease.job).cloned().collect();
        if of_job.is_empty() {
            return Ok(());
        }
        let (_, number, call) = &of_job[self.random.below(of_job.len())];
        let answer = u32::try_from(self.told.len()).unwrap();
        let mut record = settlement(call, i64::from(COST));
        record.response = Some(json!(answer));
        let real = tell(self.jobs.settle_call(&real, &record).await);
        let model = self.model.settle_call(lease, *number, answer);
        self.same(&format!("settle_call {lease:?} {number}"), told(model), real)
    }

    /// A lease of any time, mostly one of the newest.
    fn any_lease(&mut self) -> Option<(Lease, jobs::Lease)> {
        if self.leases.is_empty() {
            return None;
        }
        let back = self.random.below(self.leases.len()).min(self.random.below(self.leases.len()));
        Some(self.leases[self.leases.len() - 1 - back])
    }

    fn same<T: Debug>(&mut self, operation: &str, model: T, real: T) -> Result<(), String> {
        let (model, real) = (told(model), told(real));
        self.told.push(format!("{operation} -> {real}"));
        if model == real { Ok(()) } else { Err(format!("{operation}: the model says {model}, the store {real}")) }
    }

    /// All there is to see of every job.
    async fn compare_state(&mut self) -> Result<(), String> {
        for job in 0..self.ids.len() {
            let (model, real) = (self.expected(job), self.seen(job).await);
            if model != real {
                return Err(format!("job {job}: the model has\n  {model}\nthe store\n  {real}"));
            }
        }
        Ok(())
    }

    fn expected(&self, number: usize) -> String {
        let job = &self.model.jobs[number];
        let events: Vec<_> = job.events.iter().map(|event| (u64::from(event.seq), event.kind)).collect();
        let rows = (job.status, job.attempt, job.rescues, u64::from(job.version));
        let flags = (job.next_attempt_at.is_some(), job.is_cancel_requested, job.failure);
        let stages: Vec<_> = (0..STAGES)
            .map(|stage| (job.stages[stage].is_some(), job.output(stage), job.answer(stage).is_some()))
            .collect();
        format!("{rows:?} {flags:?} {events:?} {stages:?} {} {}", job.cost, self.model.spent(number))
    }

    async fn seen(&self, number: usize) -> String {
        let (jobs, id) = (&self.jobs, self.ids[number]);
        let job = jobs.get(id).await.unwrap().unwrap();
        let events: Vec<_> = jobs.events(id, 0).await.unwrap().iter().map(|event| (event.seq, event.kind)).collect();
        let rows = (job.status, job.attempt, job.rescues, job.version);
        let failure: Option<FailureCode> = job.failure.map(|Failure { code, .. }| code);
        let flags = (job.next_attempt_at.is_some(), job.cancel_requested_at.is_some(), failure);
        let begun = jobs.stages(id).await.unwrap();
        let mut stages = Vec::new();
        for kind in KINDS {
            let (key, digest) = (StageKey::from(kind), reservation(kind, 0, 0).request_sha256);
            let output = jobs.stage_output(id, &key).await.unwrap();
            let output = output.map(|output| u32::try_from(output.as_u64().unwrap()).unwrap());
            let is_answered = jobs.load_call(id, &key, 0, &digest).await.unwrap().is_some();
            stages.push((begun.iter().any(|stage| stage.key == key), output, is_answered));
        }
        let spent: Cost = jobs.spent(id).await.unwrap();
        format!("{rows:?} {flags:?} {events:?} {stages:?} {} {}", job.cost.as_nanos(), spent.as_nanos())
    }
}

fn key(stage: usize) -> StageKey {
    KINDS[stage].into()
}

fn told(answer: impl Debug) -> String {
    format!("{answer:?}")
}

/// What the store says, in the model's words.
fn tell<T: Debug>(answer: Result<T, StoreError>) -> String {
    told(answer.map_err(|error| match error {
        StoreError::LeaseLost => LeaseLost,
        other => panic!("{other:?}"),
    }))
}
