//! A prompt as the cache sees it: a row of blocks, from the tools over the system text to the messages.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::models::Model;
use super::tokens;
use super::view::{items, text_of};

/// Tokens the API adds to explain tools to the model (the figure of Opus 5.5).
const TOOL_OVERHEAD_TOKENS: u64 = 286;

/// How long a cache mark keeps its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ttl {
    FiveMinutes,
    OneHour,
}

/// One block.
#[derive(Debug)]
pub(super) struct Position {
    /// Names this block with everything before it.
    pub(super) chain: [u8; 32],
    /// Tokens up to and including this block.
    pub(super) tokens_until: u64,
    pub(super) mark: Option<Ttl>,
    /// The type of a tool block; a run of such blocks of one type counts once when the cache looks back.
    pub(super) run: Option<&'static str>,
}

/// Reads the positions of a request. Everything that makes a prefix another one is part of the first link; the
/// documentation lets `effort` and `thinking` spare tools and system on some models, here they never do.
pub(super) fn positions(request: &Value, model: &Model, workspace: &str) -> Vec<Position> {
    let effort = request["output_config"]["effort"].as_str().unwrap_or(&model.default_effort);
    let format = &request["output_config"]["format"];
    let seed = format!("{workspace}\0{}\0{effort}\0{}\0{}\0{format}", model.id, request["thinking"], request["speed"]);
    let mut chain = Chain { link: sha256(&[seed.as_bytes()]), tokens: 0, positions: vec![] };

    for tool in items(&request["tools"]) {
        if chain.positions.is_empty() {
            chain.tokens += TOOL_OVERHEAD_TOKENS;
        }
        chain.push("tool", tool);
    }
    for block in blocks(&request["system"]) {
        chain.push("system", &block);
    }
    chain.mix(&request["tool_choice"].to_string());
    for message in items(&request["messages"]) {
        let role = message["role"].as_str().unwrap_or_default();
        for block in blocks(&message["content"]) {
            chain.push(role, &block);
        }
    }
    if let (Some(mark), Some(last)) = (mark(request), chain.positions.last_mut()) {
        last.mark.get_or_insert(mark);
    }
    chain.positions
}

/// The cache mark of a block, or of a request as a whole.
pub(super) fn mark(block: &Value) -> Option<Ttl> {
    let mark = block.get("cache_control").filter(|mark| !mark.is_null())?;
    Some(if mark["ttl"] == "1h" { Ttl::OneHour } else { Ttl::FiveMinutes })
}

/// The blocks of a content, which may be a plain text.
pub(super) fn blocks(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) => vec![serde_json::json!({ "type": "text", "text": text })],
        Value::Array(blocks) => blocks.clone(),
        _ => vec![],
    }
}

/// A value without any cache mark in it: marks are not part of what is cached or signed.
pub(super) fn without_marks(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_marks).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| *name != "cache_control");
            Value::Object(kept.map(|(name, value)| (name.clone(), without_marks(value))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// SHA-256 of several parts, one after the other.
pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

struct Chain {
    link: [u8; 32],
    tokens: u64,
    positions: Vec<Position>,
}

impl Chain {
    fn mix(&mut self, text: &str) {
        self.link = sha256(&[&self.link, text.as_bytes()]);
    }

    fn push(&mut self, level: &str, block: &Value) {
        let bare = without_marks(block).to_string();
        self.link = sha256(&[&self.link, level.as_bytes(), b"\0", bare.as_bytes()]);
        self.tokens += block_tokens(level, block, &bare);
        let run = match block["type"].as_str() {
            Some("tool_use") => Some("tool_use"),
            Some("tool_result") => Some("tool_result"),
            _ => None,
        };
        let mark = mark(block).or_else(|| items(&block["content"]).find_map(mark));
        self.positions.push(Position { chain: self.link, tokens_until: self.tokens, mark, run });
    }
}

fn block_tokens(level: &str, block: &Value, bare: &str) -> u64 {
    match block["type"].as_str() {
        _ if level == "tool" => tokens::count(bare),
        Some("text") => tokens::count(&text_of(&Value::from(vec![block.clone()]))),
        Some("thinking") => tokens::count(block["thinking"].as_str().unwrap_or_default()),
        Some("tool_result") => tokens::count(&text_of(&block["content"])),
        _ => tokens::count(bare),
    }
}
