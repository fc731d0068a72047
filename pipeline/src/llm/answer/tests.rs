//! What a stream must and must not hold, event by event.

use serde_json::json;

use super::*;

fn take(events: &[Value]) -> Result<Response, LlmError> {
    let mut answer = Answer::default();
    for event in events {
        answer.take(&event.to_string(), "m", Some("req_1"), &|_| {})?;
    }
    answer.finish(Some("req_1".into()))
}

fn start() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": {
        "input_tokens": 7, "cache_creation_input_tokens": 30, "cache_read_input_tokens": null, "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}}}})
}

fn open(index: usize, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: usize, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn close(index: usize) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn end() -> [Value; 2] {
    [
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ]
}

#[test]
fn later_counts_overwrite_and_absent_ones_stay() {
    let [last, stop] = end();
    let early = json!({"type": "message_delta", "delta": {"stop_reason": null}, "usage": {"output_tokens": 3,
        "input_tokens": 8, "cache_read_input_tokens": 4}});
    let usage = take(&[start(), early, last, stop]).unwrap().usage;
    assert_eq!((usage.tokens.input_tokens, usage.tokens.cache_creation_tokens), (8, 30));
    assert_eq!((usage.tokens.cache_read_tokens, usage.tokens.output_tokens), (4, 5));
    assert_eq!(usage.cache_creation_1h_tokens, 20);
}

#[test]
fn a_reason_to_stop_without_message_stop_is_no_end() {
    let [last, stop] = end();
    assert!(matches!(take(&[start(), last]), Err(LlmError::Interrupted(None))));
    assert!(matches!(take(&[start(), stop.clone()]), Err(LlmError::Interrupted(None))));
    assert!(matches!(take(&[]), Err(LlmError::Interrupted(None))));
    assert!(matches!(take(&[stop]), Err(LlmError::Malformed(_))));
}

#[test]
fn a_signature_replaces_and_thinking_grows() {
    let [last, stop] = end();
    let response = take(&[
        start(),
        open(0, &json!({"type": "thinking", "thinking": "", "signature": "old"})),
        delta(0, &json!({"type": "thinking_delta", "thinking": "a"})),
        delta(0, &json!({"type": "thinking_delta", "thinking": "b"})),
        delta(0, &json!({"type": "signature_delta", "signature": "new"})),
        delta(0, &json!({"type": "delta_of_tomorrow", "x": 1})),
        close(0),
        json!({"type": "event_of_tomorrow"}),
        last,
        stop,
    ]);
    let block = &response.unwrap().content[0];
    assert_eq!(block.to_string(), r#"{"type":"thinking","thinking":"ab","signature":"new"}"#);
}

#[test]
fn blocks_come_in_turn_and_grow_only_while_open() {
    let text = json!({"type": "text", "text": ""});
    let piece = json!({"type": "text_delta", "text": "a"});
    for events in [
        vec![start(), open(1, &text)],
        vec![start(), open(usize::MAX, &text)],
        vec![start(), delta(0, &piece)],
        vec![start(), open(0, &text), close(0), delta(0, &piece)],
        vec![start(), open(0, &text), close(0), close(0)],
        vec![start(), json!({"type": "content_block_delta"})],
        vec![start(), json!("text")],
        vec![open(0, &text)],
    ] {
        assert!(matches!(take(&events), Err(LlmError::Malformed(_))), "{events:?}");
    }
}

#[test]
fn a_tool_call_without_an_end_is_cut() {
    let call = json!({"type": "tool_use", "id": "t", "name": "Edit", "input": {}});
    let stop = |reason: &str| json!({"type": "message_delta", "delta": {"stop_reason": reason}});
    let events = |reason| [start(), open(0, &call), stop(reason), json!({"type": "message_stop"})];
    let cut = take(&events("max_tokens")).unwrap();
    assert_eq!((cut.content, cut.cut_tool.as_deref()), (vec![], Some("Edit")));
    assert!(matches!(take(&events("tool_use")), Err(LlmError::Malformed(_))));
}
