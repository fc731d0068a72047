//! What a worker tells of a job while it works and nobody stores.

use chrono::{DateTime, Utc};
use domain::{Cost, StageKey, TokenUsage};
use serde::{Deserialize, Serialize};

/// Something that is told of a running job to whoever watches at that moment. It is not an event: it has no number, it is
/// not stored, and it may be lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveEvent {
    /// The stage that is worked on.
    pub stage: StageKey,
    /// When, by the worker's clock.
    pub at: DateTime<Utc>,
    /// What is told.
    pub news: LiveNews,
}

/// What is told of a running job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum LiveNews {
    /// How far the stage is in this attempt.
    Progress {
        /// Its calls to the model that are over.
        calls: u64,
        /// Characters (Unicode code points) of the model's visible answers.
        characters: u64,
        /// The tokens of the calls that are over.
        usage: TokenUsage,
        /// What they cost.
        cost: Cost,
    },
    /// The model's visible answer grew.
    Text {
        /// Where the new piece begins: characters (Unicode code points) of the stage's text in this attempt before it.
        offset: u64,
        /// The new piece.
        text: String,
    },
}
