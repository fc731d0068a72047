//! What an attempt stores while it works: `store/stage.rs` and `store/call.rs`.

use jobs::EventKind;

use super::{COST, Call, Lease, LeaseLost, Model, RESERVED, Stage};
use crate::defects::Defect;

impl Model {
    pub fn start_stage(&mut self, lease: Lease, stage: usize) -> Result<(), LeaseLost> {
        self.fence(lease)?;
        let row = &mut self.jobs[lease.job].stages[stage];
        if row.is_some_and(|stage| stage.output.is_some()) {
            return Ok(());
        }
        *row = Some(Stage::default());
        self.commit(lease.job, EventKind::StageStarted, Some(stage));
        Ok(())
    }

    pub fn save_stage(&mut self, lease: Lease, stage: usize, output: u32) -> Result<(), LeaseLost> {
        self.fence(lease)?;
        if self.jobs[lease.job].output(stage).is_some() && !self.has(Defect::SecondOutputReplacesTheFirst) {
            return Ok(());
        }
        self.jobs[lease.job].stages[stage] = Some(Stage { output: Some(output) });
        self.commit(lease.job, EventKind::StageSucceeded, Some(stage));
        Ok(())
    }

    /// Gives the number of the call.
    pub fn reserve_call(&mut self, lease: Lease, stage: usize) -> Result<usize, LeaseLost> {
        self.fence(lease)?;
        let job = &mut self.jobs[lease.job];
        job.calls.push(Call { stage, is_settled: false, answer: None });
        job.writes += 1;
        Ok(job.calls.len() - 1)
    }

    pub fn settle_call(&mut self, lease: Lease, call: usize, answer: u32) -> Result<(), LeaseLost> {
        self.fence(lease)?;
        let is_settled_twice = self.has(Defect::SettlingTwiceCountsTwice);
        let job = &mut self.jobs[lease.job];
        let settled = &mut job.calls[call];
        if settled.is_settled && !is_settled_twice {
            return Ok(());
        }
        (settled.is_settled, settled.answer) = (true, Some(answer));
        job.cost += COST;
        let stage = settled.stage;
        self.commit(lease.job, EventKind::CallSettled, Some(stage));
        Ok(())
    }

    pub fn forget_answers(&mut self, lease: Lease, stage: usize) -> Result<(), LeaseLost> {
        self.fence(lease)?;
        self.jobs[lease.job].writes += 1;
        self.forget(lease.job, stage);
        Ok(())
    }

    pub(super) fn forget(&mut self, job: usize, stage: usize) {
        for call in self.jobs[job].calls.iter_mut().filter(|call| call.stage == stage) {
            call.answer = None;
        }
    }

    pub fn spent(&self, job: usize) -> u32 {
        self.jobs[job].calls.iter().map(|call| if call.is_settled { COST } else { RESERVED }).sum()
    }
}
