//! An answer as a message: content with ids and signatures, cut where it must be, and its usage.

use serde_json::{Value, json};

use super::ledger::BilledUsage;
use super::models::Model;
use super::reply::{Answer, Break};
use super::signature::sign;
use super::tokens;
use super::view::RequestView;

/// Tokens the "model" thinks before each answer; their text is never shown.
const THINKING_TOKENS: u64 = 40;

/// A request and the model it asks.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: RequestView,
    pub(super) model: Model,
}

/// A complete message.
#[derive(Debug)]
pub(super) struct Message {
    id: String,
    model: String,
    pub(super) content: Vec<Value>,
    pub(super) cut_tool: Option<CutTool>,
    pub(super) stop_reason: String,
    stop_details: Value,
    pub(super) usage: BilledUsage,
    thinking_tokens: u64,
    pub(super) is_from_the_future: bool,
    pub(super) breaks: Option<Break>,
}

/// A tool call that ends in the middle of its input.
#[derive(Debug)]
pub(super) struct CutTool {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) partial_json: String,
}

impl Message {
    /// The same request and the same answer always give the same message.
    pub(super) fn new(call: &Call, answer: Answer, input: BilledUsage) -> Self {
        let request = &call.request;
        let hash = &request.sha256()[..20];
        let mut content = with_ids(answer.content, request.sha256());
        let thinks = answer.thinks && thinks(request.body()) && content.first().is_none_or(|b| b["type"] != "thinking");
        if thinks {
            let signature = sign(request.body(), request.messages(), "");
            content.insert(0, json!({ "type": "thinking", "thinking": "", "signature": signature }));
        }
        let cut_tool = answer.cut_tool.map(|(name, partial_json)| {
            let id = format!("toolu_{hash}_{}", content.len());
            CutTool { id, name, partial_json }
        });
        let stop_details = match (answer.stop_reason.as_str(), answer.refusal_category) {
            ("refusal", category) => json!({ "type": "refusal", "category": category, "explanation": null }),
            _ => Value::Null,
        };
        let mut message = Self {
            id: format!("msg_{hash}"),
            model: call.model.id.clone(),
            content,
            cut_tool,
            stop_reason: answer.stop_reason,
            stop_details,
            usage: input,
            thinking_tokens: if thinks { THINKING_TOKENS } else { 0 },
            is_from_the_future: answer.is_from_the_future,
            breaks: answer.breaks,
        };
        message.keep_to(request.body()["max_tokens"].as_u64().unwrap_or_default(), hash);
        message
    }

    /// Cuts what is longer than `max_tokens`, and counts the rest.
    fn keep_to(&mut self, max_tokens: u64, hash: &str) {
        let mut left = max_tokens;
        let content = std::mem::take(&mut self.content);
        for (index, block) in content.into_iter().enumerate() {
            let tokens = output_tokens(&block);
            if tokens <= left {
                left -= tokens;
                self.content.push(block);
                continue;
            }
            let bytes = usize::try_from(left * 32 / 10).unwrap_or(usize::MAX);
            match block["type"].as_str() {
                Some("text") if bytes > 0 => {
                    let text = block["text"].as_str().unwrap_or_default();
                    self.content.push(json!({ "type": "text", "text": &text[..text.floor_char_boundary(bytes)] }));
                }
                Some("tool_use") => {
                    let json = block["input"].to_string();
                    let id = block["id"].as_str().map_or_else(|| format!("toolu_{hash}_{index}"), str::to_owned);
                    let name = block["name"].as_str().unwrap_or_default().to_owned();
                    let partial_json = json[..json.floor_char_boundary(bytes)].to_owned();
                    self.cut_tool = Some(CutTool { id, name, partial_json });
                }
                _ => {}
            }
            left = 0;
            "max_tokens".clone_into(&mut self.stop_reason);
            break;
        }
        if let Some(cut) = &self.cut_tool {
            left = left.saturating_sub(tokens::count(&cut.partial_json));
        }
        self.usage.output_tokens = max_tokens - left;
    }

    /// The message in full.
    pub(super) fn to_json(&self) -> Value {
        let mut message = self.head();
        let mut content = self.content.clone();
        if let Some(cut) = &self.cut_tool {
            content.push(json!({ "type": "tool_use", "id": cut.id, "name": cut.name, "input": {} }));
        }
        message["content"] = content.into();
        message["stop_reason"] = json!(self.stop_reason);
        message["stop_details"] = self.stop_details.clone();
        message["usage"] = self.usage(self.usage.output_tokens);
        message
    }

    /// The message as it begins: without content and reason to stop.
    pub(super) fn head(&self) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": [],
            "stop_reason": null, "stop_sequence": null, "stop_details": null, "container": null, "diagnostics": null,
            "usage": self.usage(1),
        })
    }

    /// How it ends.
    pub(super) fn tail(&self) -> Value {
        json!({
            "stop_reason": self.stop_reason, "stop_sequence": null, "stop_details": self.stop_details, "container": null,
        })
    }

    fn usage(&self, output_tokens: u64) -> Value {
        json!({
            "input_tokens": self.usage.input_tokens,
            "cache_creation_input_tokens": self.usage.cache_creation_input_tokens,
            "cache_read_input_tokens": self.usage.cache_read_input_tokens,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.usage.ephemeral_5m_input_tokens,
                "ephemeral_1h_input_tokens": self.usage.ephemeral_1h_input_tokens,
            },
            "output_tokens": output_tokens,
            "output_tokens_details": { "thinking_tokens": self.thinking_tokens.min(output_tokens) },
            "server_tool_use": null, "service_tier": "standard", "inference_geo": "global",
        })
    }
}

/// Gives an id to each tool call that has none.
pub(super) fn with_ids(mut content: Vec<Value>, request_sha256: &str) -> Vec<Value> {
    let calls =
        content.iter_mut().enumerate().filter(|(_, block)| block["type"] == "tool_use" && block["id"].is_null());
    for (index, call) in calls {
        // The API's order of fields, as far as it matters to a reader of a recording.
        *call = json!({
            "type": "tool_use", "id": format!("toolu_{}_{index}", &request_sha256[..20]), "name": call["name"],
            "input": call["input"],
        });
    }
    content
}

/// Whether the model thinks before it answers: unless it is off, or a tool call is forced.
fn thinks(request: &Value) -> bool {
    let is_off = request["thinking"]["type"] == "disabled" || request["thinking"]["type"] == "between_tools";
    let is_forced = request["tool_choice"]["type"] == "any" || request["tool_choice"]["type"] == "tool";
    !is_off && !is_forced
}

fn output_tokens(block: &Value) -> u64 {
    match block["type"].as_str() {
        Some("thinking") => THINKING_TOKENS + tokens::count(block["thinking"].as_str().unwrap_or_default()),
        Some("text") => tokens::count(block["text"].as_str().unwrap_or_default()),
        _ => tokens::count(&block.to_string()),
    }
}
