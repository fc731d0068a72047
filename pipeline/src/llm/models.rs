//! Facts about models: windows, abilities and list prices, and the arithmetic of what a call costs.

use domain::{Cost, Effort};
use serde::Deserialize;
use serde_json::Value;

use super::request::CacheTtl;
use super::{Request, Usage};

/// Facts about a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInfo {
    /// Model id.
    pub id: String,
    /// Largest prompt plus answer, in tokens.
    pub context_window_tokens: u64,
    /// Largest answer, in tokens, thinking included.
    pub max_output_tokens: u32,
    /// The efforts it accepts.
    pub efforts: Vec<Effort>,
    /// The effort it works with when none is named.
    pub default_effort: Effort,
    /// The values of `thinking.type` it accepts.
    pub thinking: Vec<ThinkingType>,
    /// Whether a call of a tool can be forced by `tool_choice`.
    pub forced_tool_choice: bool,
    /// The shortest prefix that is cached, in tokens.
    pub min_cache_tokens: u64,
    /// List prices.
    pub prices: Prices,
    /// Other prices for long prompts.
    pub long_prompt: Option<LongPromptPrices>,
}

/// Values of `thinking.type` in the Messages API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingType {
    /// The model decides how much to think.
    Adaptive,
    /// Off, but for short notes between tool calls.
    BetweenTools,
    /// Off.
    Disabled,
    /// With a budget set by the caller.
    Enabled,
}

impl ThinkingType {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Adaptive, "adaptive"),
        (Self::BetweenTools, "between_tools"),
        (Self::Disabled, "disabled"),
        (Self::Enabled, "enabled"),
    ];
}

/// List prices of one token each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Input that no cache mark covers.
    pub input: Cost,
    /// Output, thinking included.
    pub output: Cost,
    /// Input written to the cache for five minutes.
    pub cache_write_5m: Cost,
    /// Input written to the cache for an hour.
    pub cache_write_1h: Cost,
    /// Input read from the cache.
    pub cache_read: Cost,
}

/// Prices of a whole call whose prompt is long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongPromptPrices {
    /// They hold for prompts with more tokens than this, cached ones included.
    pub above_input_tokens: u64,
    /// The prices, from the first token on.
    pub prices: Prices,
}

impl ModelInfo {
    /// What a call cost at list price.
    pub fn cost(&self, usage: &Usage) -> Cost {
        let prices = self.prices_for(usage.tokens.total_input());
        let written_for_an_hour = usage.cache_creation_1h_tokens.min(usage.tokens.cache_creation_tokens);
        prices.input.times(usage.tokens.input_tokens)
            + prices.cache_write_1h.times(written_for_an_hour)
            + prices.cache_write_5m.times(usage.tokens.cache_creation_tokens - written_for_an_hour)
            + prices.cache_read.times(usage.tokens.cache_read_tokens)
            + prices.output.times(usage.tokens.output_tokens)
    }

    /// The most any call of this size can cost, whatever is cached and marked: all input is a write for an hour.
    pub fn worst_case(&self, input_tokens: u64, max_output_tokens: u64) -> Cost {
        let prices = self.prices_for(input_tokens);
        prices.cache_write_1h.times(input_tokens) + prices.output.times(max_output_tokens)
    }

    /// The most this request can cost if its prompt has `input_tokens`: nothing is found in the cache, all input is
    /// written with the longest-lived mark the request has, and the answer is as long as it may be.
    pub fn worst_case_of(&self, request: &Request, input_tokens: u64) -> Cost {
        let prices = self.prices_for(input_tokens);
        let input = match request.longest_cache_mark() {
            None => prices.input,
            Some(CacheTtl::FiveMinutes) => prices.cache_write_5m,
            Some(CacheTtl::OneHour) => prices.cache_write_1h,
        };
        input.times(input_tokens) + prices.output.times(u64::from(request.max_tokens))
    }

    fn prices_for(&self, input_tokens: u64) -> Prices {
        match self.long_prompt {
            Some(long) if input_tokens > long.above_input_tokens => long.prices,
            _ => self.prices,
        }
    }

    /// Takes over what the service itself says of the model. A fact it does not state stays as it is.
    pub(super) fn update(&mut self, listed: &ListedModel) {
        if let Some(tokens) = listed.max_input_tokens {
            self.context_window_tokens = tokens;
        }
        if let Some(tokens) = listed.max_tokens {
            self.max_output_tokens = tokens;
        }
        let supports = |path: String| listed.capabilities.pointer(&path).and_then(Value::as_bool);
        if supports("/effort/supported".into()).is_some() {
            let has = |effort: &Effort| supports(format!("/effort/{effort}/supported")) == Some(true);
            self.efforts = Effort::ALL.into_iter().filter(has).collect();
        }
        if listed.capabilities.pointer("/thinking/types").is_some() {
            let has = |name: &str| supports(format!("/thinking/types/{name}/supported")) == Some(true);
            self.thinking = ThinkingType::ALL.into_iter().filter(|(_, name)| has(name)).map(|(kind, _)| kind).collect();
        }
    }
}

/// What `GET /v1/models/{id}` says, as far as we use it.
#[derive(Debug, Deserialize)]
pub(super) struct ListedModel {
    pub(super) id: String,
    #[serde(default)]
    pub(super) lifecycle: Option<String>,
    #[serde(default)]
    max_input_tokens: Option<u64>,
    #[serde(default)]
    max_tokens: Option<u32>,
    #[serde(default)]
    capabilities: Value,
}

/// The models tinygen knows by itself, and those an operator adds.
#[derive(Debug, Clone)]
pub struct ModelTable {
    models: Vec<ModelInfo>,
}

/// An operator's table of models that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the table of models cannot be read")]
pub struct ModelTableError(#[source] toml::de::Error);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    model: Vec<ModelInfo>,
}

impl ModelTable {
    /// The table that comes with tinygen.
    #[expect(clippy::missing_panics_doc, reason = "the table is part of the program, and a test reads it")]
    pub fn built_in() -> Self {
        let file: TableFile = toml::from_str(include_str!("models.toml")).expect("a test reads the table");
        Self { models: file.model }
    }

    /// Adds the models of another table of the same form (`[[model]]` in TOML); a model of the same id is replaced.
    pub fn extend(&mut self, toml: &str) -> Result<(), ModelTableError> {
        let file: TableFile = toml::from_str(toml).map_err(ModelTableError)?;
        for model in file.model {
            self.models.retain(|known| known.id != model.id);
            self.models.push(model);
        }
        Ok(())
    }

    /// The facts about a model, if it is in the table.
    pub fn get(&self, id: &str) -> Option<&ModelInfo> {
        self.models.iter().find(|model| model.id == id)
    }
}

impl Default for ModelTable {
    fn default() -> Self {
        Self::built_in()
    }
}

#[cfg(test)]
mod tests;
