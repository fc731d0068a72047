//! A message as a stream of events, in pieces as awkward as a network may make them.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;

use super::message::Message;
use super::reply::Break;

/// Sizes of the chunks the bytes are cut into, in turn: through event names, escapes and characters.
const CHUNK_BYTES: [usize; 9] = [1, 2, 3, 61, 7, 1, 509, 13, 4_096];

/// Sizes of the pieces a text or an input is told in, in characters, in turn.
const DELTA_CHARS: [usize; 6] = [1, 3, 17, 2, 120, 900];

/// How long the service is silent before it sends a ping.
const PING_EVERY: Duration = Duration::from_secs(15);

type Chunks = Sender<io::Result<Bytes>>;

/// Sends a whole message, or as much of it as its fault lets through.
pub(super) async fn send(message: Message, chunks: Chunks) {
    let mut events = events(&message);
    if message.breaks.is_some() {
        // Up to the first piece of the last block, which leaves every kind of answer in the middle.
        let last_block = events.iter().rposition(|event| event["type"] == "content_block_start").unwrap_or(0);
        events.truncate(last_block + 2);
    }
    let mut bytes = Vec::new();
    for (index, event) in events.iter().enumerate() {
        // The protocol allows both ends of line.
        let newline = if index % 3 == 2 { "\r\n" } else { "\n" };
        let name = event["type"].as_str().unwrap_or_default();
        bytes.extend(format!("event: {name}{newline}data: {event}{newline}{newline}").into_bytes());
    }
    if !send_in_pieces(&bytes, &chunks).await {
        return;
    }
    match message.breaks {
        None | Some(Break::CleanEnd) => {}
        Some(Break::Reset) => {
            // When this fails, nobody is left to tell.
            let _ = chunks.send(Err(io::ErrorKind::ConnectionReset.into())).await;
        }
        Some(Break::Stall) => chunks.closed().await,
        Some(Break::Error(kind)) => send_error(kind, "The stream failed.", &chunks).await,
        Some(Break::Garbage) => {
            send_in_pieces(b"event: content_block_delta\ndata: {\"type\":\n\n", &chunks).await;
        }
    }
}

/// Sends an `error` event.
pub(super) async fn send_error(kind: &str, message: &str, chunks: &Chunks) {
    let error = json!({ "type": "error", "error": { "type": kind, "message": message } });
    send_in_pieces(format!("event: error\ndata: {error}\n\n").as_bytes(), chunks).await;
}

/// Sends pings until the work is done; nothing when the client has gone before.
pub(super) async fn ping_until<T>(work: impl Future<Output = T>, chunks: &Chunks) -> Option<T> {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Some(done),
            () = chunks.closed() => return None,
            () = tokio::time::sleep(PING_EVERY) => {
                send_in_pieces(b"event: ping\ndata: {\"type\":\"ping\"}\n\n", chunks).await;
            }
        }
    }
}

/// Sends bytes chunk by chunk. Returns whether the client took them all.
async fn send_in_pieces(mut bytes: &[u8], chunks: &Chunks) -> bool {
    for size in CHUNK_BYTES.into_iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (chunk, rest) = bytes.split_at(size.min(bytes.len()));
        if chunks.send(Ok(Bytes::copy_from_slice(chunk))).await.is_err() {
            return false;
        }
        bytes = rest;
    }
    true
}

/// Every event of a message, in order.
fn events(message: &Message) -> Vec<Value> {
    let mut events = vec![json!({ "type": "message_start", "message": message.head() }), json!({ "type": "ping" })];
    if message.is_from_the_future {
        events[0]["message"]["mood"] = json!({ "known": false });
        events.push(json!({ "type": "message_note", "note": 1 }));
        push_block(
            &mut events,
            &json!({ "type": "progress_report", "percent": 0 }),
            &[json!({ "type": "percent_delta" })],
        );
    }
    for block in &message.content {
        push_content(&mut events, block);
    }
    if let Some(cut) = &message.cut_tool {
        let start = json!({ "type": "tool_use", "id": cut.id, "name": cut.name, "input": {} });
        push_block(&mut events, &start, &input_deltas(&cut.partial_json));
    }
    // Counts are cumulative and come more than once.
    let half = message.usage.output_tokens / 2;
    events.push(json!({
        "type": "message_delta", "delta": { "stop_reason": null, "stop_sequence": null },
        "usage": { "output_tokens": half },
    }));
    events.push(json!({
        "type": "message_delta", "delta": message.tail(),
        "usage": { "output_tokens": message.usage.output_tokens, "cache_read_input_tokens": null },
    }));
    events.push(json!({ "type": "message_stop" }));
    events
}

fn push_content(events: &mut Vec<Value>, block: &Value) {
    let text = |field: &str| block[field].as_str().unwrap_or_default();
    match block["type"].as_str() {
        Some("text") => {
            let deltas: Vec<_> =
                pieces(text("text")).map(|piece| json!({ "type": "text_delta", "text": piece })).collect();
            push_block(events, &json!({ "type": "text", "text": "" }), &deltas);
        }
        Some("thinking") => {
            let thinking = pieces(text("thinking")).map(|piece| json!({ "type": "thinking_delta", "thinking": piece }));
            let signature = json!({ "type": "signature_delta", "signature": text("signature") });
            let deltas: Vec<_> = thinking.chain([signature]).collect();
            push_block(events, &json!({ "type": "thinking", "thinking": "", "signature": "" }), &deltas);
        }
        Some("tool_use") => {
            let mut start = block.clone();
            start["input"] = json!({});
            let is_empty = block["input"].as_object().is_none_or(serde_json::Map::is_empty);
            let input = if is_empty { String::new() } else { block["input"].to_string() };
            push_block(events, &start, &input_deltas(&input));
        }
        _ => push_block(events, block, &[]),
    }
    if events.len() < 8 {
        events.push(json!({ "type": "ping" }));
    }
}

fn push_block(events: &mut Vec<Value>, start: &Value, deltas: &[Value]) {
    let index = events.iter().filter(|event| event["type"] == "content_block_start").count();
    events.push(json!({ "type": "content_block_start", "index": index, "content_block": start }));
    for delta in deltas {
        events.push(json!({ "type": "content_block_delta", "index": index, "delta": delta }));
    }
    events.push(json!({ "type": "content_block_stop", "index": index }));
}

/// The first piece of an input is always empty.
fn input_deltas(json: &str) -> Vec<Value> {
    let delta = |piece: &str| json!({ "type": "input_json_delta", "partial_json": piece });
    [""].into_iter().chain(pieces(json)).map(delta).collect()
}

fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    DELTA_CHARS.into_iter().cycle().map_while(move |chars| {
        let end = text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
        let (piece, rest) = text.split_at(end);
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}
