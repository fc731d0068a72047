//! Cache marks: at most four, and those for an hour first.

use serde_json::Value;

use super::super::prompt::{Ttl, blocks, mark};
use super::super::view::items;
use super::Rejection;

const MAX_MARKS: usize = 4;

/// Checks all marks of a body.
pub(super) fn check(body: &Value) -> Result<(), Rejection> {
    let mut marked: Vec<(String, Value)> = vec![];
    for (index, tool) in items(&body["tools"]).enumerate() {
        collect(format!("tools.{index}"), tool, &mut marked);
    }
    for (index, block) in items(&body["system"]).enumerate() {
        collect(format!("system.{index}"), block, &mut marked);
    }
    for (at, message) in items(&body["messages"]).enumerate() {
        for (index, block) in blocks(&message["content"]).iter().enumerate() {
            collect(format!("messages.{at}.content.{index}"), block, &mut marked);
            for (inner, part) in items(&block["content"]).enumerate() {
                collect(format!("messages.{at}.content.{index}.content.{inner}"), part, &mut marked);
            }
        }
    }
    let count = marked.len() + usize::from(mark(body).is_some());
    if count > MAX_MARKS {
        return Err(Rejection::invalid(format!(
            "A maximum of {MAX_MARKS} blocks with cache_control may be provided. Found {count}."
        )));
    }
    marked.iter().try_for_each(|(place, block)| check_mark(place, block))?;

    let is_short = |(_, block): &&(String, Value)| mark(block) == Some(Ttl::FiveMinutes);
    let late = marked.iter().skip_while(|entry| !is_short(entry)).find(|(_, block)| mark(block) == Some(Ttl::OneHour));
    match late {
        None => Ok(()),
        Some((place, _)) => Err(Rejection::invalid(format!(
            "{place}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control \
             block. Note that blocks are processed in the following order: `tools`, `system`, `messages`."
        ))),
    }
}

fn collect(place: String, block: &Value, marked: &mut Vec<(String, Value)>) {
    if mark(block).is_some() {
        marked.push((place, block.clone()));
    }
}

fn check_mark(place: &str, block: &Value) -> Result<(), Rejection> {
    let control = &block["cache_control"];
    if control["type"] != "ephemeral" {
        return Err(Rejection::invalid(format!("{place}.cache_control.type: Input should be 'ephemeral'")));
    }
    if !(control["ttl"].is_null() || control["ttl"] == "5m" || control["ttl"] == "1h") {
        return Err(Rejection::invalid(format!("{place}.cache_control.ttl: Input should be '5m' or '1h'")));
    }
    match block["type"].as_str() {
        Some("thinking" | "redacted_thinking") => {
            Err(Rejection::invalid(format!("{place}.cache_control: Extra inputs are not permitted")))
        }
        Some("text") if block["text"] == "" => {
            Err(Rejection::invalid(format!("{place}.text: cache_control cannot be set for empty text blocks")))
        }
        _ => Ok(()),
    }
}
