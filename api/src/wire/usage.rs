//! What a job or a stage used of the model, and what that cost.

use domain::{Cost, TokenUsage};
use serde::Serialize;
use utoipa::ToSchema;

/// What a job or a stage used of the model, and what that cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageBody {
    /// Input after the last cache mark, at full price.
    pub input_tokens: u64,
    /// Output, thinking included.
    pub output_tokens: u64,
    /// Input read from the prompt cache.
    pub cache_read_tokens: u64,
    /// Input written to the prompt cache.
    pub cache_creation_tokens: u64,
    /// Cost at list price, in US dollars.
    pub cost_usd: f64,
}

impl UsageBody {
    /// Tokens and their price.
    pub fn new(usage: TokenUsage, cost: Cost) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_creation_tokens: usage.cache_creation_tokens,
            cost_usd: cost.as_usd(),
        }
    }
}
