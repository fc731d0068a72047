//! What happened to a job: one row of its ordered log.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde_json::Value;

/// Events that one reading gives at most; who wants more asks again after the last one.
pub const MAX_EVENTS: usize = 500;

/// Something that happened to a job. Polling, streams and webhooks all read these.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvent {
    /// Its place among the job's events: 1, 2, 3, … The last one's is the job's version.
    pub seq: u64,
    /// What happened.
    pub kind: EventKind,
    /// The particulars, as a JSON object.
    pub data: Value,
    /// When, by the database's clock.
    pub at: DateTime<Utc>,
}

macro_rules! event_kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// The kinds of event. The names are part of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventKind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name used in SQL and JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl FromStr for EventKind {
            type Err = UnknownEventKind;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(UnknownEventKind(text.to_owned())),
                }
            }
        }
    };
}

event_kinds! {
    /// The job was accepted, or handed back by a worker that shuts down.
    JobQueued = "job.queued";
    /// A worker claimed the job.
    JobStarted = "job.started";
    /// An attempt failed; another one follows.
    JobRetrying = "job.retrying";
    /// Somebody asked for a finished job to be run again.
    JobRetried = "job.retried";
    /// Somebody asked for the end of a running job.
    JobCancelRequested = "job.cancelRequested";
    /// Work on a stage began.
    StageStarted = "stage.started";
    /// A stage is done and stored.
    StageSucceeded = "stage.succeeded";
    /// A call to the model is over and accounted for.
    CallSettled = "call.settled";
    /// The job ended with a result.
    JobSucceeded = "job.succeeded";
    /// The job ended with a failure.
    JobFailed = "job.failed";
    /// The job ended because somebody asked for it.
    JobCanceled = "job.canceled";
    /// Everything the job was about was forgotten, its other events too.
    JobPurged = "job.purged";
}

impl EventKind {
    /// Whether the job has ended: nothing can follow but [`Self::JobRetried`] and [`Self::JobPurged`].
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::JobSucceeded | Self::JobFailed | Self::JobCanceled | Self::JobPurged)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no [`EventKind`]'s.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of event")]
pub struct UnknownEventKind(String);
