//! The conversation of one pass: the constant prefix, the text of the pass, and the turns that follow.
//!
//! Every pass is a conversation of its own and shares only the prefix (tools, system, sheet) with the others: a pass can
//! be resumed or repeated by any worker, and a reviewer does not see what the author thought. Within a pass the list of
//! messages only grows, because thinking blocks are bound to the exact turns before them.

use std::sync::LazyLock;

use domain::StageKey;
use regex::Regex;
use serde_json::{Value, json};

use crate::error::PipelineError;
use crate::llm::{Request, Response, StopReason};
use crate::run::Run;
use crate::sheet::{Sheet, TextKind, TokenCounts, estimate_tokens};
use crate::template::{TOOLS, Template, render};
use crate::tool_call::ToolUse;

/// Turns of one pass, nudges and repetitions included.
const MAX_TURNS: u32 = 8;

/// A pass in progress.
pub(crate) struct Conversation<'a> {
    run: &'a Run,
    stage: StageKey,
    /// The tools that end the pass, as the nudge names them.
    ends_with: &'static str,
    request: Request,
    /// The sheet's tokens as estimated, to compare with the bill.
    estimated: TokenCounts,
    /// Tokens, estimated, of what is sent beside the sheet.
    tokens_beside: u64,
    turn: u32,
    nudged: bool,
    asked_again: bool,
}

/// One answer of the model, in the parts that a pass acts on.
pub(crate) struct Turn {
    /// The calls, in the model's order; of an answer that was cut, the complete ones.
    pub(crate) calls: Vec<ToolUse>,
    /// Whether the answer was cut at the length limit.
    pub(crate) is_cut: bool,
}

enum Accepted {
    Turn(Turn),
    AskAgain,
    GiveUp,
}

/// The answer to one call.
pub(crate) struct ToolResult {
    pub(crate) id: String,
    pub(crate) is_error: bool,
    pub(crate) text: String,
}

impl<'a> Conversation<'a> {
    /// Opens a pass: the sheet, marked for the cache, then what the pass asks.
    pub(crate) fn open(run: &'a Run, stage: StageKey, ends_with: &'static str, sheet: &Sheet, text: &str) -> Self {
        let system = render(Template::System, ());
        let tokens_beside = estimate_tokens(&system, TextKind::Prose)
            + estimate_tokens(&TOOLS.to_string(), TextKind::Data)
            + estimate_tokens(text, TextKind::Prose);
        let request = Request {
            model: run.model.id.clone(),
            effort: run.spec.effort,
            max_tokens: run.shared.config.max_output_tokens.min(run.model.max_output_tokens),
            system,
            tools: TOOLS.clone(),
            messages: vec![json!({"role": "user", "content": [
                {"type": "text", "text": sheet.text, "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": text},
            ]})],
        };
        Self {
            run,
            stage,
            ends_with,
            request,
            estimated: sheet.estimated,
            tokens_beside,
            turn: 0,
            nudged: false,
            asked_again: false,
        }
    }

    /// The model's next turn that has something to act on; nothing when it will not make a call even after a nudge.
    pub(crate) async fn next(&mut self) -> Result<Option<Turn>, PipelineError> {
        while self.turn < MAX_TURNS {
            let response = self.run.call(&self.stage, self.turn, &self.request).await?;
            if self.turn == 0 {
                let sheet_tokens = response.usage.tokens.total_input().saturating_sub(self.tokens_beside);
                self.run.shared.observe(&self.run.model.id, &self.estimated, sheet_tokens);
            }
            self.turn += 1;
            match response.stop_reason {
                StopReason::Refusal(category) => return Err(PipelineError::Refused { category }),
                StopReason::ModelContextWindowExceeded => return Err(self.unusable("the model's window is full")),
                StopReason::Other(reason) => return Err(self.unusable(&format!("the model stopped for `{reason}`"))),
                StopReason::PauseTurn => self.append(response.content),
                StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence | StopReason::MaxTokens => {
                    match self.accept(response) {
                        Accepted::Turn(turn) => return Ok(Some(turn)),
                        Accepted::AskAgain => {}
                        Accepted::GiveUp => return Ok(None),
                    }
                }
            }
        }
        Ok(None)
    }

    /// Takes a turn with calls into the conversation. A turn without any is nudged once; one that wrote its calls out as
    /// text is asked for again once, and never shown to the model, which would repeat it.
    fn accept(&mut self, response: Response) -> Accepted {
        let is_cut = response.stop_reason == StopReason::MaxTokens;
        let content = response.content;
        if is_cut {
            self.request.max_tokens = self.request.max_tokens.saturating_mul(2).min(self.run.model.max_output_tokens);
        }
        let calls: Vec<ToolUse> = content.iter().filter_map(ToolUse::read).collect();
        if !calls.is_empty() {
            self.append(content);
            return Accepted::Turn(Turn { calls, is_cut });
        }
        let is_leaked = is_leaked_call(&content);
        if is_leaked && !self.asked_again {
            self.asked_again = true;
            return Accepted::AskAgain;
        }
        if self.nudged {
            return Accepted::GiveUp;
        }
        self.nudged = true;
        self.nudge(if is_leaked { Vec::new() } else { content });
        Accepted::AskAgain
    }

    fn nudge(&mut self, content: Vec<Value>) {
        let text = json!({"type": "text", "text": render(Template::Nudge, json!({"tools": self.ends_with}))});
        if has_text(&content) {
            self.append(content);
            self.request.messages.push(json!({"role": "user", "content": [text]}));
        } else if let Some(blocks) = self.request.messages.last_mut().and_then(|last| last["content"].as_array_mut()) {
            // An empty turn cannot be sent back: the nudge joins the user's last message.
            blocks.push(text);
        }
    }

    /// Answers the calls of the last turn, all in one message; after a cut, a word on how to go on follows.
    pub(crate) fn answer(&mut self, results: Vec<ToolResult>, after_cut: Option<String>) {
        let mut blocks: Vec<Value> = results.into_iter().map(ToolResult::into_block).collect();
        blocks.extend(after_cut.map(|text| json!({"type": "text", "text": text})));
        self.request.messages.push(json!({"role": "user", "content": blocks}));
    }

    /// The answer to a call that the pass has no use for, or that could not be read.
    pub(crate) fn reject(&self, call: &ToolUse) -> ToolResult {
        let text = match &call.call {
            Ok(_) => render(Template::NotInThisPass, json!({"tool": call.name, "tools": self.ends_with})),
            Err(reason) => render(Template::UnreadableCall, json!({"tool": call.name, "reason": reason})),
        };
        ToolResult::error(call, text)
    }

    /// The request as it would be sent next.
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// The error of a pass that did not come to its end.
    pub(crate) fn unusable(&self, reason: &str) -> PipelineError {
        PipelineError::ModelOutput { stage: self.stage.clone(), reason: reason.to_owned() }
    }

    fn append(&mut self, content: Vec<Value>) {
        let content = Value::Array(content);
        self.request.messages.push(json!({"role": "assistant", "content": content}));
    }
}

impl ToolResult {
    pub(crate) fn ok(call: &ToolUse, text: impl Into<String>) -> Self {
        Self { id: call.id.clone(), is_error: false, text: text.into() }
    }

    pub(crate) fn error(call: &ToolUse, text: impl Into<String>) -> Self {
        Self { id: call.id.clone(), is_error: true, text: text.into() }
    }

    fn into_block(self) -> Value {
        let mut block = json!({"type": "tool_result", "tool_use_id": self.id, "content": self.text});
        if self.is_error {
            block["is_error"] = Value::Bool(true);
        }
        block
    }
}

fn has_text(content: &[Value]) -> bool {
    content.iter().filter_map(|block| block["text"].as_str()).any(|text| !text.trim().is_empty())
}

/// Whether the model wrote a tool call out as text, which some do under load.
fn is_leaked_call(content: &[Value]) -> bool {
    static MARKUP: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"<(?:antml:)?(?:invoke|parameter) name=").expect("a constant pattern"));
    content.iter().filter_map(|block| block["text"].as_str()).any(|text| MARKUP.is_match(text))
}
