//! A journal that lives as long as the process: for a single run on the command line.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{CallId, CallRecord, CallReservation, Cost, StageKey, StageRecord};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use serde_json::Value;

use super::{Journal, JournalError};

/// Keeps everything in memory.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    stages: HashMap<StageKey, StageRecord>,
    calls: HashMap<CallId, (CallReservation, Option<CallRecord>)>,
}

impl MemoryJournal {
    /// What was stored for a stage.
    pub fn stage(&self, key: &StageKey) -> Option<StageRecord> {
        self.state().stages.get(key).cloned()
    }

    /// Every call that was settled.
    pub fn calls(&self) -> Vec<CallRecord> {
        self.state().calls.values().filter_map(|(_, record)| record.clone()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn start_stage<'a>(&'a self, _key: &'a StageKey) -> BoxFuture<'a, Result<(), JournalError>> {
        ready(Ok(())).boxed()
    }

    fn load_stage<'a>(&'a self, key: &'a StageKey) -> BoxFuture<'a, Result<Option<StageRecord>, JournalError>> {
        ready(Ok(self.stage(key))).boxed()
    }

    fn save_stage<'a>(&'a self, record: &'a StageRecord) -> BoxFuture<'a, Result<(), JournalError>> {
        self.state().stages.entry(record.key.clone()).or_insert_with(|| record.clone());
        ready(Ok(())).boxed()
    }

    fn load_call<'a>(
        &'a self,
        stage: &'a StageKey,
        turn: u32,
        request_sha256: &'a str,
    ) -> BoxFuture<'a, Result<Option<Value>, JournalError>> {
        let memory = self.state();
        let found = memory.calls.values().find_map(|(asked, record)| {
            let is_it = asked.stage == *stage && asked.turn == turn && asked.request_sha256 == request_sha256;
            record.as_ref().filter(|_| is_it)?.response.clone()
        });
        ready(Ok(found)).boxed()
    }

    fn forget_answers<'a>(&'a self, stage: &'a StageKey) -> BoxFuture<'a, Result<(), JournalError>> {
        let mut memory = self.state();
        let of_stage = memory.calls.values_mut().filter(|(asked, _)| asked.stage == *stage);
        of_stage.filter_map(|(_, record)| record.as_mut()).for_each(|record| record.response = None);
        ready(Ok(())).boxed()
    }

    fn reserve_call<'a>(&'a self, reservation: &'a CallReservation) -> BoxFuture<'a, Result<(), JournalError>> {
        self.state().calls.insert(reservation.id, (reservation.clone(), None));
        ready(Ok(())).boxed()
    }

    fn settle_call<'a>(&'a self, record: &'a CallRecord) -> BoxFuture<'a, Result<(), JournalError>> {
        if let Some((_, settled)) = self.state().calls.get_mut(&record.id) {
            *settled = Some(record.clone());
        }
        ready(Ok(())).boxed()
    }

    fn spent(&self) -> BoxFuture<'_, Result<Cost, JournalError>> {
        let state = self.state();
        let calls = state.calls.values();
        let spent = calls.map(|(asked, record)| record.as_ref().map_or(asked.reserved, |record| record.cost)).sum();
        ready(Ok(spent)).boxed()
    }
}
