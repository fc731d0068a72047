//! One request to a model: what it was for, what it used, what it cost.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Cost, StageKey};

/// The name of one request to a model (UUID v7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(pub Uuid);

impl CallId {
    /// Makes a new id.
    #[expect(clippy::new_without_default, reason = "a new id is a side effect, not a default value")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

/// The tokens of one or more calls, by the price class they fall in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenUsage {
    /// Input after the last cache mark, at full price.
    pub input_tokens: u64,
    /// Input written to the prompt cache.
    pub cache_creation_tokens: u64,
    /// Input read from the prompt cache.
    pub cache_read_tokens: u64,
    /// Output, thinking included.
    pub output_tokens: u64,
}

impl TokenUsage {
    /// All input tokens, whatever they cost.
    pub fn total_input(&self) -> u64 {
        self.input_tokens + self.cache_creation_tokens + self.cache_read_tokens
    }
}

impl AddAssign for TokenUsage {
    fn add_assign(&mut self, other: Self) {
        self.input_tokens += other.input_tokens;
        self.cache_creation_tokens += other.cache_creation_tokens;
        self.cache_read_tokens += other.cache_read_tokens;
        self.output_tokens += other.output_tokens;
    }
}

/// Money set aside before a call: its worst case. Until the call is settled, this is what it counts as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallReservation {
    /// The call.
    pub id: CallId,
    /// The stage that makes it.
    pub stage: StageKey,
    /// Its place in the stage's conversation, from 0.
    pub turn: u32,
    /// Model asked.
    pub model: String,
    /// SHA-256 of the request's body, in hexadecimal: an answer is only reused for the very same question.
    pub request_sha256: String,
    /// The most the call can cost.
    pub reserved: Cost,
}

/// A call that is over, well or badly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// The call; it was reserved under this id.
    pub id: CallId,
    /// What it used; of a call that broke off, what is known.
    pub usage: TokenUsage,
    /// What it cost at list price.
    pub cost: Cost,
    /// The model's answer, or nothing when the call failed.
    pub response: Option<serde_json::Value>,
    /// Why the model stopped, or the kind of error.
    pub stop_reason: String,
    /// From sending to the end, in milliseconds.
    pub duration_ms: u64,
}
