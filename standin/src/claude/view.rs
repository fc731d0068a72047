//! A request as a script looks at it.

use serde_json::Value;

/// A request that keeps the rules.
#[derive(Debug, Clone)]
pub struct RequestView {
    pub(super) body: Value,
    pub(super) sha256: String,
    pub(super) number: usize,
}

/// The result of a tool call that the client sends back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// The call it answers.
    pub tool_use_id: String,
    /// The text of the result.
    pub text: String,
    /// Whether the call failed.
    pub is_error: bool,
}

impl RequestView {
    /// The body, read.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// SHA-256 of the body as it came, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Its place among all requests of the server, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The model asked.
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// The effort asked for, if one is named.
    pub fn effort(&self) -> Option<&str> {
        self.body["output_config"]["effort"].as_str()
    }

    /// The tools the model may call.
    pub fn tool_names(&self) -> Vec<&str> {
        items(&self.body["tools"]).filter_map(|tool| tool["name"].as_str()).collect()
    }

    /// Whether a tool may be called.
    pub fn has_tool(&self, name: &str) -> bool {
        self.tool_names().contains(&name)
    }

    /// The system text.
    pub fn system(&self) -> String {
        text_of(&self.body["system"])
    }

    /// The conversation.
    pub fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// How often the model has already answered in this conversation.
    pub fn turn(&self) -> usize {
        self.messages().iter().filter(|message| message["role"] == "assistant").count()
    }

    /// The text blocks of the last message, one after the other: what is asked for now.
    pub fn last_text(&self) -> String {
        self.messages().last().map(|message| text_of(&message["content"])).unwrap_or_default()
    }

    /// The text blocks of the first message: in a job, the sheet and the task.
    pub fn first_text(&self) -> String {
        self.messages().first().map(|message| text_of(&message["content"])).unwrap_or_default()
    }

    /// The results of tool calls in the last message.
    pub fn tool_results(&self) -> Vec<ToolResult> {
        let Some(last) = self.messages().last() else { return vec![] };
        let results = items(&last["content"]).filter(|block| block["type"] == "tool_result");
        let result = |block: &Value| ToolResult {
            tool_use_id: block["tool_use_id"].as_str().unwrap_or_default().to_owned(),
            text: text_of(&block["content"]),
            is_error: block["is_error"] == true,
        };
        results.map(result).collect()
    }

    /// The calls of the model's latest turn: name and input.
    pub fn latest_calls(&self) -> Vec<(&str, &Value)> {
        let Some(turn) = self.messages().iter().rfind(|message| message["role"] == "assistant") else { return vec![] };
        let calls = items(&turn["content"]).filter(|block| block["type"] == "tool_use");
        calls.map(|call| (call["name"].as_str().unwrap_or_default(), &call["input"])).collect()
    }
}

/// The text of a content: a string, or blocks of which the text blocks count.
pub(super) fn text_of(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    items(content).filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
}

/// The items of a list; none when it is no list.
pub(super) fn items(value: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}
