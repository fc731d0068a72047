//! What a script can make the stand-in do.

use std::time::Duration;

use serde_json::{Value, json};

/// A reply: an answer of the "model", or a fault.
#[derive(Debug, Clone)]
pub struct Reply(pub(super) Kind);

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Answer(Answer),
    Fault(Fault),
    Hang,
}

/// What the "model" says, and how it arrives.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) content: Vec<Value>,
    /// A last tool call that is cut in its input: name and the JSON text up to there.
    pub(super) cut_tool: Option<(String, String)>,
    pub(super) stop_reason: String,
    pub(super) refusal_category: Option<String>,
    pub(super) thinks: bool,
    pub(super) is_from_the_future: bool,
    pub(super) breaks: Option<Break>,
    /// Time until the first byte.
    pub(super) delay: Duration,
}

impl Answer {
    pub(super) fn new(content: Vec<Value>, stop_reason: String) -> Self {
        Self {
            content,
            cut_tool: None,
            stop_reason,
            refusal_category: None,
            thinks: true,
            is_from_the_future: false,
            breaks: None,
            delay: Duration::ZERO,
        }
    }
}

/// How a stream ends before its time, in the middle of its last content block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Break {
    /// The connection is closed in order.
    CleanEnd,
    /// The connection is cut.
    Reset,
    /// Nothing more comes.
    Stall,
    /// An `error` event of this type.
    Error(&'static str),
    /// An event that is not JSON.
    Garbage,
}

impl Reply {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::content(vec![json!({ "type": "text", "text": text.into() })], "end_turn")
    }

    /// A call of one tool.
    pub fn tool(name: &str, input: Value) -> Self {
        Self::tools([(name, input)])
    }

    /// Calls of several tools in one turn.
    pub fn tools<'a>(calls: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let block = |(name, input): (&str, Value)| json!({ "type": "tool_use", "name": name, "input": input });
        Self::content(calls.into_iter().map(block).collect(), "tool_use")
    }

    /// Content blocks as they are. A tool call without an `id` is given one.
    pub fn content(content: Vec<Value>, stop_reason: impl Into<String>) -> Self {
        Self(Kind::Answer(Answer::new(content, stop_reason.into())))
    }

    /// A turn without anything in it.
    pub fn empty() -> Self {
        Self::content(vec![], "end_turn").without_thinking()
    }

    /// A call of a tool whose input is cut by `max_tokens` after this JSON text.
    pub fn cut_tool(name: &str, partial_json: &str) -> Self {
        Self::content(vec![], "max_tokens").then_cut_tool(name, partial_json)
    }

    /// The model declines before it has said anything.
    pub fn refusal(category: Option<&str>) -> Self {
        Self::content(vec![], "refusal").without_thinking().change(|answer| {
            answer.refusal_category = category.map(str::to_owned);
        })
    }

    /// A fault instead of an answer.
    pub fn fault(fault: Fault) -> Self {
        Self(Kind::Fault(fault))
    }

    /// No answer at all: the connection stays open.
    pub fn hang() -> Self {
        Self(Kind::Hang)
    }

    /// Adds a text before everything else.
    #[must_use]
    pub fn after_text(self, text: &str) -> Self {
        self.change(|answer| answer.content.insert(0, json!({ "type": "text", "text": text })))
    }

    /// Adds a cut tool call at the end.
    #[must_use]
    pub fn then_cut_tool(self, name: &str, partial_json: &str) -> Self {
        self.change(|answer| {
            answer.cut_tool = Some((name.to_owned(), partial_json.to_owned()));
            "max_tokens".clone_into(&mut answer.stop_reason);
        })
    }

    /// Stops for another reason.
    #[must_use]
    pub fn stopping(self, stop_reason: &str) -> Self {
        self.change(|answer| stop_reason.clone_into(&mut answer.stop_reason))
    }

    /// Leaves out the thinking block in front.
    #[must_use]
    pub fn without_thinking(self) -> Self {
        self.change(|answer| answer.thinks = false)
    }

    /// Adds events, blocks, deltas and fields that no client knows yet.
    #[must_use]
    pub fn from_the_future(self) -> Self {
        self.change(|answer| answer.is_from_the_future = true)
    }

    /// Breaks the stream off.
    #[must_use]
    pub fn breaking(self, how: Break) -> Self {
        self.change(|answer| answer.breaks = Some(how))
    }

    /// Thinks before the first byte.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        self.change(|answer| answer.delay = delay)
    }

    fn change(mut self, change: impl FnOnce(&mut Answer)) -> Self {
        if let Kind::Answer(answer) = &mut self.0 {
            change(answer);
        }
        self
    }
}

/// An answer that is an HTTP error.
#[derive(Debug, Clone)]
pub struct Fault {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: FaultBody,
}

#[derive(Debug, Clone)]
pub(super) enum FaultBody {
    Error { kind: String, message: String, error_code: Option<String> },
    Html(String),
    Redirect,
}

impl Fault {
    /// An error in the API's form.
    pub fn api(status: u16, kind: &str, message: &str) -> Self {
        let body = FaultBody::Error { kind: kind.to_owned(), message: message.to_owned(), error_code: None };
        Self { status, headers: vec![], body }
    }

    /// An error of this status, with the type that goes with it.
    pub fn status(status: u16) -> Self {
        let (kind, message) = match status {
            401 => ("authentication_error", "invalid x-api-key"),
            402 => ("billing_error", "Your payment method was declined."),
            403 => ("permission_error", "Your API key does not have permission to use the specified resource."),
            404 => ("not_found_error", "Not found"),
            409 => ("conflict_error", "The request conflicts with another one."),
            413 => ("request_too_large", "Request exceeds the maximum size"),
            429 => ("rate_limit_error", "This request would exceed your organization's rate limit."),
            504 => ("timeout_error", "The request timed out."),
            529 => ("overloaded_error", "Overloaded"),
            500.. => ("api_error", "Internal server error"),
            _ => ("invalid_request_error", "Invalid request"),
        };
        Self::api(status, kind, message)
    }

    /// A page of the edge in front of the API.
    pub fn html(status: u16) -> Self {
        let page = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>");
        Self { status, headers: vec![], body: FaultBody::Html(page) }
    }

    /// A redirect to another place.
    pub fn redirect(location: &str) -> Self {
        Self { status: 302, headers: vec![("location", location.to_owned())], body: FaultBody::Redirect }
    }

    /// With `error.details.error_code`.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        if let FaultBody::Error { error_code, .. } = &mut self.body {
            *error_code = Some(code.to_owned());
        }
        self
    }

    /// With another text.
    #[must_use]
    pub fn with_message(mut self, text: &str) -> Self {
        if let FaultBody::Error { message, .. } = &mut self.body {
            text.clone_into(message);
        }
        self
    }

    /// With a header, like `retry-after` or `x-should-retry`.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}
