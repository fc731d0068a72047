//! The models the stand-in plays, and their prices: the table of the client, so that both send the same bill.

use serde::Deserialize;
use serde_json::{Value, json};

use super::ledger::BilledUsage;

const TABLE: &str = include_str!("../../../pipeline/src/llm/models.toml");

const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];
const THINKING_TYPES: [&str; 4] = ["adaptive", "between_tools", "disabled", "enabled"];

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Model {
    pub(super) id: String,
    pub(super) context_window_tokens: u64,
    pub(super) max_output_tokens: u64,
    pub(super) efforts: Vec<String>,
    pub(super) default_effort: String,
    pub(super) thinking: Vec<String>,
    pub(super) forced_tool_choice: bool,
    pub(super) min_cache_tokens: u64,
    prices: Prices,
    long_prompt: Option<LongPrompt>,
}

/// Nano-dollars per token.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Prices {
    input: i64,
    output: i64,
    cache_write_5m: i64,
    cache_write_1h: i64,
    cache_read: i64,
}

#[derive(Debug, Clone, Deserialize)]
struct LongPrompt {
    above_input_tokens: u64,
    prices: Prices,
}

#[derive(Deserialize)]
struct Table {
    model: Vec<Model>,
}

/// Every model.
pub(super) fn load() -> Vec<Model> {
    toml::from_str::<Table>(TABLE).expect("a test reads the table").model
}

impl Model {
    /// What a call costs, in nano-dollars.
    pub(super) fn cost_nanos(&self, usage: &BilledUsage) -> i64 {
        let total_input = usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens;
        let prices = match &self.long_prompt {
            Some(long) if total_input > long.above_input_tokens => long.prices,
            _ => self.prices,
        };
        let amount = |tokens: u64, price: i64| i64::try_from(tokens).unwrap_or(i64::MAX).saturating_mul(price);
        amount(usage.input_tokens, prices.input)
            + amount(usage.ephemeral_5m_input_tokens, prices.cache_write_5m)
            + amount(usage.ephemeral_1h_input_tokens, prices.cache_write_1h)
            + amount(usage.cache_read_input_tokens, prices.cache_read)
            + amount(usage.output_tokens, prices.output)
    }

    /// The entry in the list of models.
    pub(super) fn entry(&self) -> Value {
        let supported = |yes: bool| json!({ "supported": yes });
        let mut effort = json!({ "supported": true });
        for name in EFFORTS {
            effort[name] = supported(self.efforts.iter().any(|own| own == name));
        }
        let mut types = json!({});
        for name in THINKING_TYPES {
            types[name] = supported(self.thinking.iter().any(|own| own == name));
        }
        json!({
            "id": self.id, "type": "model", "display_name": self.id, "created_at": "2026-10-01T00:00:00Z",
            "lifecycle": "active", "deprecated_at": null, "retires_at": null,
            "line": self.id.split('-').nth(1),
            "max_input_tokens": self.context_window_tokens, "max_tokens": self.max_output_tokens,
            "capabilities": {
                "effort": effort, "thinking": { "supported": true, "types": types },
                "structured_outputs": supported(true), "batch": supported(false),
            },
        })
    }
}
