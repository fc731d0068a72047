//! The model: what is asked, what comes back, and how it can fail.

use std::time::Duration;

use domain::{Effort, TokenUsage};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A service that answers [`Request`]s.
pub trait LanguageModel: Send + Sync {
    /// The facts about a model: window, largest output, prices.
    fn info<'a>(&'a self, model: &'a str) -> BoxFuture<'a, Result<ModelInfo, LlmError>>;

    /// How many input tokens a request has, by the service's own count.
    fn count_tokens<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<u64, LlmError>>;

    /// Asks once; no retry. `on_delta` sees the answer grow.
    fn complete<'a>(
        &'a self,
        request: &'a Request,
        on_delta: &'a (dyn Fn(Delta<'_>) + Send + Sync),
    ) -> BoxFuture<'a, Result<Response, LlmFailure>>;
}

/// One request: the parts of a Messages API body that differ between requests.
#[derive(Debug, Clone)]
pub struct Request {
    /// Model id.
    pub model: String,
    /// The model's default when absent.
    pub effort: Option<Effort>,
    /// Bound on the output, thinking included.
    pub max_tokens: u32,
    /// System text.
    pub system: String,
    /// Tool definitions, as sent.
    pub tools: Value,
    /// The conversation, as sent. Append-only: a model's turn goes back byte for byte.
    pub messages: Vec<Value>,
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The service's id of the message.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// Content blocks, raw: they are sent back unchanged.
    pub content: Vec<Value>,
    /// Why the model stopped.
    pub stop_reason: StopReason,
    /// What was used.
    pub usage: Usage,
}

/// Why a model stopped (`stop_reason` of the Messages API).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It had nothing more to say.
    EndTurn,
    /// It waits for the results of its tool calls.
    ToolUse,
    /// It reached `max_tokens`: the last block may be cut.
    MaxTokens,
    /// A stop sequence.
    StopSequence,
    /// A server tool paused the turn.
    PauseTurn,
    /// It declined; the category, when the service names one.
    Refusal(Option<String>),
    /// The window is full.
    ModelContextWindowExceeded,
    /// A value this client does not know.
    Other(String),
}

/// Tokens as the service bills them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The four counts.
    pub tokens: TokenUsage,
    /// Of the cache writes, those kept for an hour (dearer).
    pub cache_creation_1h_tokens: u64,
}

/// A piece of an answer that is still growing.
#[derive(Debug, Clone, Copy)]
pub enum Delta<'a> {
    /// The service has begun to answer; what is known of the usage.
    Started(Usage),
    /// Visible text.
    Text(&'a str),
    /// A part of a tool call's input, as JSON text.
    ToolInput(&'a str),
}

/// Facts about a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelInfo {
    /// Model id.
    pub id: String,
    /// Largest prompt plus answer, in tokens.
    pub context_window_tokens: u64,
    /// Largest answer, in tokens, thinking included.
    pub max_output_tokens: u32,
}

/// A call that failed, and what it used up to then.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct LlmFailure {
    /// What went wrong.
    #[source]
    pub error: LlmError,
    /// What the service had reported when it broke off.
    pub usage: Usage,
}

/// Why a model did not answer: one variant per reaction.
#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    /// 429: wait, then ask again.
    #[error("the model service limits our rate")]
    RateLimited {
        /// How long the service asks us to wait.
        retry_after: Option<Duration>,
    },
}
