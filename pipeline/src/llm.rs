//! The model: what is asked, what comes back, and how it can fail.
//!
//! [`LanguageModel`] is the boundary; [`Anthropic`] is the one that speaks the Messages API of Claude. A call is made
//! once and never repeated here: the caller puts money aside before each attempt and asks [`Backoff`] whether and when
//! to try again.

use domain::TokenUsage;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod answer;
mod anthropic;
mod classify;
mod config;
mod error;
mod models;
mod request;
mod retry;

pub use anthropic::Anthropic;
pub use config::{AnthropicConfig, ConfigError, Credentials};
pub use error::{LlmError, LlmFailure, ServiceError};
pub use models::{LongPromptPrices, ModelInfo, ModelTable, ModelTableError, Prices, ThinkingType};
pub use request::Request;
pub use retry::{Backoff, RetryPolicy};

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

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The service's id of the message.
    pub id: String,
    /// The service's id of the request, for its support.
    #[serde(default)]
    pub request_id: Option<String>,
    /// The model that answered.
    pub model: String,
    /// Content blocks, raw: they are sent back unchanged. A tool call that was cut is not among them.
    pub content: Vec<Value>,
    /// The tool whose call was cut, when the answer ended inside one.
    #[serde(default)]
    pub cut_tool: Option<String>,
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

impl StopReason {
    /// The name as the service writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::EndTurn => "end_turn",
            Self::ToolUse => "tool_use",
            Self::MaxTokens => "max_tokens",
            Self::StopSequence => "stop_sequence",
            Self::PauseTurn => "pause_turn",
            Self::Refusal(_) => "refusal",
            Self::ModelContextWindowExceeded => "model_context_window_exceeded",
            Self::Other(name) => name,
        }
    }

    /// Whether the answer may have ended in the middle of a block.
    pub fn cuts_the_answer(&self) -> bool {
        matches!(self, Self::MaxTokens | Self::ModelContextWindowExceeded | Self::Refusal(_))
    }
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
    /// The service has begun to answer; what is known of the usage. From now on its cache entries can be read.
    Started(Usage),
    /// Visible text.
    Text(&'a str),
    /// A part of a tool call's input, as JSON text.
    ToolInput(&'a str),
}
