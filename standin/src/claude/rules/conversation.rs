//! The messages: roles, blocks, tool calls with their results, and thinking that comes back unchanged.

use serde_json::Value;

use super::super::prompt::blocks;
use super::super::signature::{Verdict, verify};
use super::super::view::items;
use super::Rejection;

/// Each kind of block: its fields, and the role that may use it.
const BLOCKS: [(&str, &[&str], Option<&str>); 7] = [
    ("text", &["type", "text", "cache_control", "citations"], None),
    ("image", &["type", "source", "cache_control"], Some("user")),
    ("document", &["type", "source", "title", "context", "citations", "cache_control"], Some("user")),
    ("tool_use", &["type", "id", "name", "input", "cache_control", "caller"], Some("assistant")),
    ("tool_result", &["type", "tool_use_id", "content", "is_error", "cache_control"], Some("user")),
    ("thinking", &["type", "thinking", "signature"], Some("assistant")),
    ("redacted_thinking", &["type", "data"], Some("assistant")),
];

/// Checks all messages.
pub(super) fn check(body: &Value) -> Result<(), Rejection> {
    let messages = body["messages"].as_array().ok_or_else(|| Rejection::invalid("messages: Field required"))?;
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
        return Err(Rejection::invalid("messages: at least one message is required"));
    };
    for (at, message) in messages.iter().enumerate() {
        check_message(at, message)?;
    }
    if first["role"] != "user" {
        return Err(Rejection::invalid("messages: first message must use the \"user\" role"));
    }
    if last["role"] == "assistant" {
        return Err(Rejection::invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    check_tool_results(messages)?;
    check_thinking(body, messages)
}

fn check_message(at: usize, message: &Value) -> Result<(), Rejection> {
    let role = message["role"].as_str().unwrap_or_default();
    if !["user", "assistant", "system"].contains(&role) {
        return Err(Rejection::invalid(format!("messages.{at}.role: Input should be 'user', 'assistant' or 'system'")));
    }
    let content = &message["content"];
    if !content.is_string() && !content.is_array() {
        return Err(Rejection::invalid(format!("messages.{at}.content: Input should be a valid list")));
    }
    let blocks = blocks(content);
    if blocks.is_empty() || content == "" {
        return Err(Rejection::invalid(format!("messages.{at}: all messages must have non-empty content")));
    }
    blocks
        .iter()
        .enumerate()
        .try_for_each(|(index, block)| check_block(&format!("messages.{at}.content.{index}"), role, block))
}

fn check_block(place: &str, role: &str, block: &Value) -> Result<(), Rejection> {
    let kind = block["type"].as_str().unwrap_or_default();
    let Some((_, fields, only_role)) = BLOCKS.iter().find(|(name, ..)| *name == kind) else {
        let tags = BLOCKS.map(|(name, ..)| format!("'{name}'")).join(", ");
        return Err(Rejection::invalid(format!(
            "{place}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}"
        )));
    };
    if only_role.is_some_and(|only| only != role) {
        return Err(Rejection::invalid(format!("{place}: `{kind}` blocks are not permitted in `{role}` messages")));
    }
    let extra = block.as_object().and_then(|own| own.keys().find(|name| !fields.contains(&name.as_str())));
    if let Some(name) = extra {
        return Err(Rejection::invalid(format!("{place}.{kind}.{name}: Extra inputs are not permitted")));
    }
    if kind == "text" && block["text"].as_str().is_none_or(str::is_empty) {
        return Err(Rejection::invalid("messages: text content blocks must be non-empty"));
    }
    if kind == "text" && role == "user" && items(&block["citations"]).next().is_some() {
        return Err(Rejection::invalid(format!("{place}.text.citations: Extra inputs are not permitted")));
    }
    if kind == "tool_use" && !block["input"].is_object() {
        return Err(Rejection::invalid(format!("{place}.tool_use.input: Input should be an object")));
    }
    Ok(())
}

/// Every call is answered in the very next message, before anything else there, and nothing else is.
fn check_tool_results(messages: &[Value]) -> Result<(), Rejection> {
    for (at, message) in messages.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| messages.get(before)).map_or(&Value::Null, |m| &m["content"]);
        let calls = ids(before, "tool_use", "id");
        let results = ids(&message["content"], "tool_result", "tool_use_id");

        if let Some(stray) = results.iter().find(|id| !calls.contains(id)) {
            return Err(Rejection::invalid(format!(
                "messages.{at}.content: unexpected `tool_use_id` found in `tool_result` blocks: {stray}. Each \
                 `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )));
        }
        let leading = items(&message["content"]).take_while(|block| block["type"] == "tool_result").count();
        let missing: Vec<&str> = calls.into_iter().filter(|id| !results.contains(id)).collect();
        if !missing.is_empty() || leading < results.len() {
            let missing = if missing.is_empty() { results.join(", ") } else { missing.join(", ") };
            return Err(Rejection::invalid(format!(
                "messages.{}: `tool_use` ids were found without `tool_result` blocks immediately after: {missing}. \
                 Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
                at.saturating_sub(1)
            )));
        }
        if let Some(twice) = results.iter().enumerate().find(|(index, id)| results[..*index].contains(id)) {
            return Err(Rejection::invalid(format!(
                "messages.{at}.content: each tool_use must have a single result. Found multiple `tool_result` blocks \
                 with id: {}",
                twice.1
            )));
        }
    }
    Ok(())
}

fn ids<'a>(content: &'a Value, kind: &str, field: &str) -> Vec<&'a str> {
    items(content).filter(|block| block["type"] == kind).filter_map(|block| block[field].as_str()).collect()
}

/// A thinking block of the latest turn comes back as it was, and each block where it was made.
fn check_thinking(body: &Value, messages: &[Value]) -> Result<(), Rejection> {
    let latest = messages.iter().rposition(|message| message["role"] == "assistant");
    for (at, message) in messages.iter().enumerate() {
        for (index, block) in items(&message["content"]).enumerate().filter(|(_, block)| block["type"] == "thinking") {
            let thinking = block["thinking"].as_str().unwrap_or_default();
            let signature = block["signature"].as_str().unwrap_or_default();
            match verify(body, &messages[..at], thinking, signature) {
                Verdict::Genuine | Verdict::OtherModel => {}
                Verdict::OtherConversation => {
                    return Err(Rejection::invalid(format!(
                        "messages.{at}.content.{index}: Invalid `signature` in `thinking` block. The block is bound to a \
                         different conversation; send the conversation unchanged or remove the thinking blocks."
                    )));
                }
                Verdict::Edited if Some(at) == latest => {
                    return Err(Rejection::invalid(format!(
                        "messages.{at}.content.{index}: `thinking` or `redacted_thinking` blocks in the latest \
                         assistant message cannot be modified. These blocks must remain as they were in the original \
                         response."
                    )));
                }
                Verdict::Edited => {
                    return Err(Rejection::invalid(format!(
                        "messages.{at}.content.{index}: Invalid `signature` in `thinking` block"
                    )));
                }
            }
        }
    }
    Ok(())
}
