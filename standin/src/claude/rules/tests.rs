//! Each rule, by a request that breaks it and nothing else.

use serde_json::json;

use super::super::{models, signature};
use super::*;

fn valid() -> Value {
    json!({
        "model": "claude-opus-5-5", "max_tokens": 1000, "stream": true, "output_config": {"effort": "medium"},
        "system": [{"type": "text", "text": "s"}],
        "tools": [{"name": "t", "strict": true, "input_schema": {"type": "object", "additionalProperties": false,
            "properties": {"a": {"type": "string"}}, "required": ["a"]}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "t", "input": {"a": "b"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"},
                {"type": "text", "text": "go on"}]},
        ],
    })
}

/// The message about a valid request in which the value at a JSON pointer is replaced.
fn refusal(pointer: &str, value: Value) -> String {
    let mut body = valid();
    match body.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => body[pointer.trim_start_matches('/')] = value,
    }
    check(&body, Endpoint::Messages, &models::load()).map(|_| ()).unwrap_err().message
}

#[test]
fn accepts_what_keeps_the_rules() {
    assert!(check(&valid(), Endpoint::Messages, &models::load()).is_ok());
}

#[test]
fn knows_each_field() {
    assert_eq!(refusal("/temperature", json!(1.0)), "temperature: Extra inputs are not permitted");
    assert_eq!(refusal("/top_p", json!(1.0)), "top_p: Extra inputs are not permitted");
    assert_eq!(refusal("/betas", json!([])), "betas: Extra inputs are not permitted");
    assert_eq!(refusal("/max_tokens", json!("1")), "max_tokens: Input should be a valid integer");
    assert!(refusal("/max_tokens", json!(128_001)).starts_with("max_tokens: 128001 > 128000"));
    assert!(refusal("/max_tokens", json!(0)).starts_with("stream: "));
    assert!(refusal("/output_config/effort", json!("extreme")).starts_with("output_config.effort: Input should be"));
    assert!(refusal("/output_config", json!({"verbosity": 1})).starts_with("output_config.verbosity: Extra"));
    assert!(refusal("/system/0/text", json!("")).starts_with("system: text content blocks must be non-empty"));
}

#[test]
fn knows_the_models() {
    let mut body = valid();
    body["model"] = json!("claude-2");
    assert_eq!(check(&body, Endpoint::Messages, &models::load()).unwrap_err(), Rejection::unknown_model("claude-2"));

    let forced = "tool_choice: type \"tool\" and \"any\" are not supported for this model.";
    assert_eq!(refusal("/tool_choice", json!({"type": "any"})), forced);
    body["tool_choice"] = json!({"type": "tool", "name": "t"});
    body["model"] = json!("claude-haiku-5-5");
    assert!(check(&body, Endpoint::Messages, &models::load()).is_ok());

    assert!(refusal("/thinking", json!({"type": "disabled"})).contains("is not supported for this model"));
    body["model"] = json!("claude-sonnet-5-5");
    body["tool_choice"] = Value::Null;
    body["thinking"] = json!({"type": "between_tools"});
    assert!(check(&body, Endpoint::Messages, &models::load()).is_ok());
    body["output_config"]["effort"] = json!("max");
    assert!(check(&body, Endpoint::Messages, &models::load()).is_err());
    body["output_config"]["effort"] = json!("low");
    body["thinking"]["display"] = json!("omitted");
    assert!(check(&body, Endpoint::Messages, &models::load()).is_err());
}

#[test]
fn counting_has_no_fields_of_the_answer() {
    let mut body = valid();
    let refusal = check(&body, Endpoint::CountTokens, &models::load()).unwrap_err();
    assert_eq!(refusal.message, "max_tokens: Extra inputs are not permitted");
    for field in ["max_tokens", "stream"] {
        body.as_object_mut().unwrap().shift_remove(field);
    }
    assert!(check(&body, Endpoint::CountTokens, &models::load()).is_ok());
    body["tool_choice"] = json!({"type": "any"});
    assert!(check(&body, Endpoint::CountTokens, &models::load()).is_err());
}

#[test]
fn a_conversation_begins_and_ends_with_the_user() {
    let turn = json!({"role": "assistant", "content": "So:"});
    assert!(refusal("/messages", json!([{"role": "user", "content": "a"}, turn])).contains("prefill"));
    assert!(refusal("/messages", json!([turn, {"role": "user", "content": "a"}])).contains("first message"));
    assert!(refusal("/messages", json!([])).contains("at least one message"));
    assert!(refusal("/messages/0/content", json!([])).contains("non-empty content"));
    assert!(refusal("/messages/0/content/0/text", json!("")).contains("must be non-empty"));
    assert!(refusal("/messages/0/content/0/type", json!("video")).contains("Input tag 'video'"));
    assert!(
        refusal("/messages/0/content/0", json!({"type": "text", "text": "a", "note": 1})).contains("text.note: Extra")
    );
    assert!(refusal("/messages/1/content/0/type", json!("document")).contains("not permitted in `assistant`"));
}

#[test]
fn every_call_has_its_result_right_after_it() {
    let text = json!({"type": "text", "text": "x"});
    let result = json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"});
    let missing = "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1.";
    assert!(refusal("/messages/2/content", json!([text])).starts_with(missing));
    assert!(refusal("/messages/2/content", json!([text, result])).starts_with(missing));
    let unknown = refusal("/messages/2/content/0/tool_use_id", json!("toolu_2"));
    assert!(unknown.contains("unexpected `tool_use_id`"), "{unknown}");
    assert!(refusal("/messages/2/content", json!([result, result])).contains("single result"));
}

#[test]
fn thinking_comes_back_as_it_was_and_where_it_was() {
    let mut body = valid();
    let signed = signature::sign(&body, &body["messages"].as_array().unwrap()[..1], "");
    let thinking = json!({"type": "thinking", "thinking": "", "signature": signed});
    body["messages"][1]["content"].as_array_mut().unwrap().insert(0, thinking);
    let verdict = |body: &Value| check(body, Endpoint::Messages, &models::load()).map(|_| ()).map_err(|r| r.message);
    assert_eq!(verdict(&body), Ok(()));

    let mut marked = body.clone();
    marked["messages"][0]["content"][0]["cache_control"] = json!({"type": "ephemeral"});
    marked["output_config"]["effort"] = json!("high");
    assert_eq!(verdict(&marked), Ok(()), "neither marks nor effort are bound");

    let mut edited = body.clone();
    edited["messages"][1]["content"][0]["thinking"] = json!("hm");
    assert!(verdict(&edited).unwrap_err().contains("cannot be modified"));

    let mut trimmed = body.clone();
    trimmed["messages"][0]["content"][0]["text"] = json!("hello");
    assert!(verdict(&trimmed).unwrap_err().contains("bound to a different conversation"));

    body["model"] = json!("claude-sonnet-5-5");
    assert_eq!(verdict(&body), Ok(()), "another model drops the block");
}

#[test]
fn four_marks_and_the_long_ones_first() {
    let block = |ttl: &str| json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": ttl}});
    let five = vec![block("5m"); 5];
    assert!(refusal("/messages/0/content", five.into()).ends_with("may be provided. Found 5."));
    let late = refusal("/messages/0/content", json!([block("5m"), block("1h")]));
    assert!(late.starts_with("messages.0.content.1.cache_control.ttl: a ttl='1h' cache_control block"), "{late}");
    assert!(refusal("/messages/0/content", json!([block("2h")])).contains("'5m' or '1h'"));
}

#[test]
fn strict_tools_use_a_part_of_json_schema() {
    let schema = "/tools/0/input_schema";
    let object = |properties: Value| json!({"type": "object", "additionalProperties": false, "properties": properties});
    assert!(refusal(&format!("{schema}/additionalProperties"), json!(true)).contains("'additionalProperties' must be"));
    let long = refusal(&format!("{schema}/properties/a"), json!({"type": "string", "maxLength": 3}));
    assert!(long.contains("property 'maxLength' is not supported"), "{long}");
    let many: Value =
        (0..25).map(|i| (format!("p{i}"), json!({"type": "string"}))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(refusal(schema, object(many)), "Schema is too complex for compilation");
    let tools: Vec<Value> =
        (0..21).map(|i| json!({"name": format!("t{i}"), "strict": true, "input_schema": object(json!({}))})).collect();
    assert!(refusal("/tools", tools.into()).contains("at most 20 strict tools"));
    assert!(refusal("/tools/0/name", json!("a b")).contains("should match pattern"));
    let twice = json!([valid()["tools"][0], valid()["tools"][0]]);
    assert_eq!(refusal("/tools", twice), "tools: Tool names must be unique.");
}

#[test]
fn headers_say_who_and_which_version() {
    let check = |pairs: &[(&'static str, &'static str)]| {
        let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        check_headers(&pairs.collect::<HeaderMap>(), Some("key")).map_err(|rejection| rejection.message)
    };
    let version = ("anthropic-version", "2026-10-21");
    assert_eq!(check(&[("x-api-key", "key"), version]), Ok("key".into()));
    assert_eq!(check(&[("authorization", "Bearer key"), version]), Ok("key".into()));
    assert_eq!(
        check(&[("authorization", "Bearer key"), ("x-api-key", "no"), version]),
        Err("invalid x-api-key".into())
    );
    assert_eq!(check(&[version]), Err("x-api-key header is required".into()));
    assert_eq!(check(&[("x-api-key", "key")]), Err("anthropic-version: header is required".into()));
    assert!(check(&[("x-api-key", "key"), ("anthropic-version", "2027-01-01")]).is_err());
}
