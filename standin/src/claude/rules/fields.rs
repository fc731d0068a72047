//! The fields of a body: which there are, and what each may hold.

use serde_json::Value;

use super::super::models::Model;
use super::{Endpoint, Rejection};

const PROMPT_FIELDS: [&str; 9] =
    ["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "speed"];
const ANSWER_FIELDS: [&str; 8] =
    ["max_tokens", "stream", "stop_sequences", "metadata", "service_tier", "inference_geo", "diagnostics", "container"];

/// Refuses fields that do not exist; since version 2026-10-21 the sampling parameters are among them.
pub(super) fn check_names(body: &Value, endpoint: Endpoint) -> Result<(), Rejection> {
    let Some(fields) = body.as_object() else {
        return Err(Rejection::invalid("The request body must be a JSON object"));
    };
    for name in fields.keys().map(String::as_str) {
        let exists = PROMPT_FIELDS.contains(&name) || (endpoint == Endpoint::Messages && ANSWER_FIELDS.contains(&name));
        if !exists {
            return Err(Rejection::invalid(format!("{name}: Extra inputs are not permitted")));
        }
    }
    Ok(())
}

/// Checks everything but tools, marks and messages.
pub(super) fn check_values(body: &Value, model: &Model, endpoint: Endpoint) -> Result<(), Rejection> {
    if endpoint == Endpoint::Messages {
        check_max_tokens(body, model)?;
    }
    let effort = check_output_config(&body["output_config"])?;
    check_thinking(&body["thinking"], effort, model)?;
    check_tool_choice(&body["tool_choice"], model)?;
    check_system(&body["system"])
}

fn check_max_tokens(body: &Value, model: &Model) -> Result<(), Rejection> {
    let Some(given) = body.get("max_tokens") else {
        return Err(Rejection::invalid("max_tokens: Field required"));
    };
    let Some(max_tokens) = given.as_u64() else {
        return Err(Rejection::invalid("max_tokens: Input should be a valid integer"));
    };
    if max_tokens > model.max_output_tokens {
        return Err(Rejection::invalid(format!(
            "max_tokens: {max_tokens} > {}, which is the maximum allowed number of output tokens for {}",
            model.max_output_tokens, model.id
        )));
    }
    if max_tokens == 0 {
        let forbids = [
            (body["stream"] == true, "stream: must be false when `max_tokens` is 0"),
            (!body["output_config"]["format"].is_null(), "output_config.format: not allowed when `max_tokens` is 0"),
            (is_forced(&body["tool_choice"]), "tool_choice: cannot be forced when `max_tokens` is 0"),
            (body["thinking"]["type"] == "enabled", "thinking: cannot be enabled when `max_tokens` is 0"),
        ];
        if let Some((_, message)) = forbids.into_iter().find(|(is_broken, _)| *is_broken) {
            return Err(Rejection::invalid(message));
        }
    }
    Ok(())
}

fn check_output_config(config: &Value) -> Result<Option<&str>, Rejection> {
    let Some(fields) = config.as_object() else {
        return if config.is_null() {
            Ok(None)
        } else {
            Err(Rejection::invalid("output_config: Input should be an object"))
        };
    };
    if let Some(name) = fields.keys().find(|name| !["effort", "format"].contains(&name.as_str())) {
        return Err(Rejection::invalid(format!("output_config.{name}: Extra inputs are not permitted")));
    }
    match &config["effort"] {
        Value::Null => Ok(None),
        Value::String(effort) if ["low", "medium", "high", "xhigh", "max"].contains(&effort.as_str()) => {
            Ok(Some(effort))
        }
        _ => Err(Rejection::invalid("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")),
    }
}

fn check_thinking(thinking: &Value, effort: Option<&str>, model: &Model) -> Result<(), Rejection> {
    if thinking.is_null() {
        return Ok(());
    }
    let kind = thinking["type"].as_str().unwrap_or_default();
    if !model.thinking.iter().any(|accepted| accepted == kind) {
        let accepted = model.thinking.join("', '");
        let message = format!("thinking.type: \"{kind}\" is not supported for this model; use '{accepted}'");
        return Err(Rejection::invalid(message));
    }
    let is_off = matches!(kind, "between_tools" | "disabled");
    if is_off && matches!(effort, Some("xhigh" | "max")) {
        let message = format!("thinking.type: \"{kind}\" is not supported with effort 'xhigh' or 'max'");
        return Err(Rejection::invalid(message));
    }
    let allowed: &[&str] = if is_off { &["type"] } else { &["type", "display", "block_binding"] };
    match thinking.as_object().and_then(|fields| fields.keys().find(|name| !allowed.contains(&name.as_str()))) {
        Some(name) => Err(Rejection::invalid(format!("thinking.{kind}.{name}: Extra inputs are not permitted"))),
        None => Ok(()),
    }
}

fn check_tool_choice(choice: &Value, model: &Model) -> Result<(), Rejection> {
    if is_forced(choice) && !model.forced_tool_choice {
        return Err(Rejection::invalid("tool_choice: type \"tool\" and \"any\" are not supported for this model."));
    }
    let kinds = ["auto", "none", "any", "tool"];
    if choice.is_null() || choice["type"].as_str().is_some_and(|kind| kinds.contains(&kind)) {
        return Ok(());
    }
    Err(Rejection::invalid("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'"))
}

fn check_system(system: &Value) -> Result<(), Rejection> {
    let Some(blocks) = system.as_array() else {
        let is_text = system.is_null() || system.is_string();
        return if is_text { Ok(()) } else { Err(Rejection::invalid("system: Input should be a valid list")) };
    };
    for (index, block) in blocks.iter().enumerate() {
        if block["type"] != "text" {
            return Err(Rejection::invalid(format!("system.{index}.type: Input should be 'text'")));
        }
        if block["text"].as_str().is_none_or(str::is_empty) {
            return Err(Rejection::invalid("system: text content blocks must be non-empty"));
        }
    }
    Ok(())
}

fn is_forced(tool_choice: &Value) -> bool {
    tool_choice["type"] == "any" || tool_choice["type"] == "tool"
}
