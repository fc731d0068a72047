//! What the simulation must find: the protocol, broken on purpose in one place at a time.

#[cfg(test)]
mod tests;

/// A mistake in the store, or in how a worker uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Writes look at the job's status, but not at the lease's epoch.
    NoFence,
    /// The try is counted when it has failed, not when it begins.
    AttemptCountedAfterTheWork,
    /// A job may take any number of workers down.
    LostWorkerNotCounted,
    /// The end is written whatever the status is.
    EndIsOverwritten,
    /// A process killed at the wrong moment changes a job without telling.
    EventOutsideTheTransaction,
    /// A heartbeat keeps the lease of whoever has the job now.
    HeartbeatRevivesALostLease,
    /// A stage's output is written as often as it is sent.
    SecondOutputReplacesTheFirst,
    /// A settlement that is sent again is counted again.
    SettlingTwiceCountsTwice,
    /// A sweep ends what it saw to be lost, though the worker has come back since.
    SweepDoesNotLookAgain,
    /// A job that is run again counts its leases from the beginning.
    RetryResetsTheEpoch,
    /// A claim takes a lost worker's job though its end was asked for.
    CanceledJobsAreClaimed,
    /// The worker asks the model before it looks whether the stage is finished.
    StageIsNotLookedUp,
    /// The worker keeps answers and outputs to itself until the job ends.
    NothingIsStoredUntilTheEnd,
}
