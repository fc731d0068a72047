//! An answer that grows out of the events of a stream.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::classify::{ApiError, stream_error};
use super::{Delta, LlmError, Response, StopReason, Usage};

/// Blocks of one answer; there are a handful.
const MAX_BLOCKS: usize = 4_096;

/// An answer as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Answer {
    started: Option<Start>,
    blocks: Vec<Block>,
    stop_reason: Option<String>,
    refusal_category: Option<String>,
    usage: Usage,
    is_complete: bool,
}

/// The events of the Messages API that carry something. Others may be added to it at any time.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        index: usize,
        content_block: Map<String, Value>,
    },
    ContentBlockDelta {
        index: usize,
        delta: BlockDelta,
    },
    ContentBlockStop {
        index: usize,
    },
    MessageDelta {
        delta: StopDelta,
        #[serde(default)]
        usage: Option<WireUsage>,
    },
    MessageStop,
    Error {
        error: ApiError,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Debug, Deserialize)]
struct Start {
    id: String,
    model: String,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BlockDelta {
    TextDelta {
        text: String,
    },
    InputJsonDelta {
        partial_json: String,
    },
    ThinkingDelta {
        thinking: String,
    },
    SignatureDelta {
        signature: String,
    },
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct StopDelta {
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_details: Option<StopDetails>,
}

#[derive(Deserialize)]
struct StopDetails {
    #[serde(default)]
    category: Option<String>,
}

/// Every count may be absent or null: then what was known stays.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireUsage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation: Option<WireCacheCreation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireCacheCreation {
    ephemeral_1h_input_tokens: Option<u64>,
}

/// A content block that grows.
#[derive(Debug)]
struct Block {
    content: Map<String, Value>,
    /// The input of a tool call as JSON text, which is only JSON when the block is done.
    input: String,
    is_done: bool,
}

impl Answer {
    /// Takes in one event. Returns whether the answer is complete. An event that is not known is passed over.
    pub(super) fn take(
        &mut self,
        event: &str,
        model: &str,
        request_id: Option<&str>,
        on_delta: &(dyn Fn(Delta<'_>) + Send + Sync),
    ) -> Result<bool, LlmError> {
        let event: Event = serde_json::from_str(event).map_err(|error| malformed("an event", &error))?;
        if self.started.is_none() && !matches!(event, Event::MessageStart { .. } | Event::Error { .. } | Event::Unknown)
        {
            return Err(LlmError::Malformed("the stream does not begin with message_start".into()));
        }
        match event {
            Event::MessageStart { message } => {
                self.usage.overwrite(message.usage.as_ref());
                on_delta(Delta::Started(self.usage));
                self.started = Some(message);
            }
            Event::ContentBlockStart { index, content_block } => self.open(index, content_block)?,
            Event::ContentBlockDelta { index, delta } => self.block(index)?.grow(delta, on_delta),
            Event::ContentBlockStop { index } => self.block(index)?.is_done = true,
            Event::MessageDelta { delta, usage } => {
                self.usage.overwrite(usage.as_ref());
                self.stop_reason = delta.stop_reason.or(self.stop_reason.take());
                self.refusal_category = delta.stop_details.and_then(|details| details.category);
            }
            Event::MessageStop => self.is_complete = true,
            Event::Error { error } => return Err(stream_error(error, request_id.map(str::to_owned), model)),
            Event::Unknown => {}
        }
        Ok(self.is_complete)
    }

    /// What the service has reported so far.
    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// The complete answer. A stream that ended without `message_stop`, or without a reason to stop, was cut off on
    /// its way, even when the connection was closed in order.
    pub(super) fn finish(self, request_id: Option<String>) -> Result<Response, LlmError> {
        let (true, Some(started), Some(stop_reason)) = (self.is_complete, self.started, self.stop_reason) else {
            return Err(LlmError::Interrupted(None));
        };
        let stop_reason = match stop_reason.as_str() {
            "end_turn" => StopReason::EndTurn,
            "tool_use" => StopReason::ToolUse,
            "max_tokens" => StopReason::MaxTokens,
            "stop_sequence" => StopReason::StopSequence,
            "pause_turn" => StopReason::PauseTurn,
            "refusal" => StopReason::Refusal(self.refusal_category),
            "model_context_window_exceeded" => StopReason::ModelContextWindowExceeded,
            _ => StopReason::Other(stop_reason),
        };
        let mut cut_tool = None;
        let mut content = Vec::with_capacity(self.blocks.len());
        for block in self.blocks {
            let name = block.content.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            match block.finish() {
                Ok(block) => content.push(block),
                // Only part of the call is here, and no result can be given for a part.
                Err(_) if stop_reason.cuts_the_answer() => cut_tool = Some(name),
                Err(error) => return Err(error),
            }
        }
        let Start { id, model, .. } = started;
        Ok(Response { id, request_id, model, content, cut_tool, stop_reason, usage: self.usage })
    }

    fn open(&mut self, index: usize, content: Map<String, Value>) -> Result<(), LlmError> {
        if index != self.blocks.len() || index >= MAX_BLOCKS {
            return Err(LlmError::Malformed(format!("content block {index} is out of turn")));
        }
        self.blocks.push(Block { content, input: String::new(), is_done: false });
        Ok(())
    }

    fn block(&mut self, index: usize) -> Result<&mut Block, LlmError> {
        let block = self.blocks.get_mut(index).filter(|block| !block.is_done);
        block.ok_or_else(|| LlmError::Malformed(format!("content block {index} is not open")))
    }
}

impl Block {
    fn grow(&mut self, delta: BlockDelta, on_delta: &(dyn Fn(Delta<'_>) + Send + Sync)) {
        match delta {
            BlockDelta::TextDelta { text } => {
                on_delta(Delta::Text(&text));
                self.append("text", text);
            }
            BlockDelta::InputJsonDelta { partial_json } => {
                on_delta(Delta::ToolInput(&partial_json));
                self.input.push_str(&partial_json);
            }
            BlockDelta::ThinkingDelta { thinking } => self.append("thinking", thinking),
            BlockDelta::SignatureDelta { signature } => {
                self.content.insert("signature".into(), signature.into());
            }
            BlockDelta::Unknown => {}
        }
    }

    fn append(&mut self, field: &str, piece: String) {
        match self.content.get_mut(field) {
            Some(Value::String(text)) => text.push_str(&piece),
            _ => {
                self.content.insert(field.to_owned(), Value::String(piece));
            }
        }
    }

    /// The block as it is sent back. A tool call without any input text keeps the input it started with, `{}`.
    fn finish(mut self) -> Result<Value, LlmError> {
        if !self.input.is_empty() {
            let input = serde_json::from_str(&self.input).map_err(|error| malformed("a tool call's input", &error))?;
            self.content.insert("input".into(), input);
        } else if !self.is_done && self.content.contains_key("input") {
            return Err(LlmError::Malformed("a tool call has no end".into()));
        }
        Ok(Value::Object(self.content))
    }
}

impl Usage {
    /// The counts of a stream are cumulative: a new one replaces the old.
    fn overwrite(&mut self, wire: Option<&WireUsage>) {
        let Some(wire) = wire else { return };
        let set = |count: &mut u64, value: Option<u64>| *count = value.unwrap_or(*count);
        set(&mut self.tokens.input_tokens, wire.input_tokens);
        set(&mut self.tokens.cache_creation_tokens, wire.cache_creation_input_tokens);
        set(&mut self.tokens.cache_read_tokens, wire.cache_read_input_tokens);
        set(&mut self.tokens.output_tokens, wire.output_tokens);
        let for_an_hour = wire.cache_creation.as_ref().and_then(|creation| creation.ephemeral_1h_input_tokens);
        set(&mut self.cache_creation_1h_tokens, for_an_hour);
    }
}

/// Says where JSON is wrong, not what it holds.
fn malformed(what: &str, error: &serde_json::Error) -> LlmError {
    LlmError::Malformed(format!("{what} is wrong at line {} column {}", error.line(), error.column()))
}

#[cfg(test)]
mod tests;
