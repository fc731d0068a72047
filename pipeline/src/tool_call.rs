//! A model's tool calls, read from its answer.
//!
//! Tools are declared strict, but the reader is tolerant all the same: letter case of names, the aliases that models
//! fall back to, and keys nobody asked for. Only a call that lacks what it needs is sent back.

use domain::{Edit, RepoPath};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One call, and the id its result answers to.
#[derive(Debug)]
pub(crate) struct ToolUse {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The call, or why it could not be read.
    pub(crate) call: Result<ToolCall, String>,
}

/// What the model wants done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ToolCall {
    Edit(Edit),
    SubmitPlan(SubmitPlan),
    SubmitEdits(SubmitEdits),
    SubmitReview(SubmitReview),
    NoChange(NoChange),
}

/// What to change, where and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SubmitPlan {
    pub(crate) summary: String,
    pub(crate) files: Vec<PlannedFile>,
    #[serde(default)]
    pub(crate) context_files: Vec<String>,
    #[serde(default)]
    pub(crate) acceptance: Vec<String>,
    #[serde(default)]
    pub(crate) risks: Vec<String>,
    #[serde(default)]
    pub(crate) evidence: Vec<Evidence>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PlannedFile {
    #[serde(alias = "file_path")]
    pub(crate) path: String,
    pub(crate) action: PlannedAction,
    /// Where a moved file goes; empty otherwise.
    #[serde(default)]
    pub(crate) new_path: String,
    #[serde(default)]
    pub(crate) why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PlannedAction {
    #[serde(alias = "Edit")]
    Edit,
    #[serde(alias = "Create")]
    Create,
    #[serde(alias = "Delete")]
    Delete,
    #[serde(alias = "Move")]
    Move,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Evidence {
    #[serde(alias = "file_path")]
    pub(crate) path: String,
    pub(crate) quote: String,
}

/// The end of a pass that edits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SubmitEdits {
    #[serde(default)]
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) commit_message: String,
}

/// The end of a review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SubmitReview {
    pub(crate) verdict: Verdict,
    #[serde(default)]
    pub(crate) findings: Vec<Finding>,
    #[serde(default)]
    pub(crate) unmet_acceptance: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    #[serde(alias = "Approve")]
    Approve,
    #[serde(alias = "Revise")]
    Revise,
    #[serde(alias = "Reject")]
    Reject,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    #[serde(alias = "file_path")]
    pub(crate) path: String,
    pub(crate) diff_line: String,
    pub(crate) claim: String,
    pub(crate) failing_case: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    #[serde(alias = "Minor")]
    Minor,
    #[serde(alias = "Major")]
    Major,
    #[serde(alias = "Blocker")]
    Blocker,
}

/// The claim that nothing needs to change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NoChange {
    pub(crate) reason: String,
    #[serde(alias = "path", alias = "file_path")]
    pub(crate) evidence_path: String,
    #[serde(alias = "quote")]
    pub(crate) evidence_quote: String,
}

#[derive(Deserialize)]
struct EditInput {
    #[serde(alias = "path", alias = "filename", alias = "file")]
    file_path: String,
    #[serde(alias = "old_str", alias = "oldText", alias = "old_text", alias = "search", alias = "oldString")]
    old_string: String,
    #[serde(alias = "new_str", alias = "newText", alias = "new_text", alias = "replace", alias = "newString")]
    new_string: String,
    #[serde(default, alias = "replaceAll")]
    replace_all: bool,
}

#[derive(Deserialize)]
struct WriteInput {
    #[serde(alias = "path", alias = "filename", alias = "file")]
    file_path: String,
    #[serde(alias = "contents", alias = "text", alias = "file_text")]
    content: String,
    #[serde(default)]
    executable: bool,
}

#[derive(Deserialize)]
struct DeleteInput {
    #[serde(alias = "path", alias = "filename", alias = "file")]
    file_path: String,
}

#[derive(Deserialize)]
struct MoveInput {
    #[serde(alias = "from", alias = "old_path", alias = "source")]
    from_path: String,
    #[serde(alias = "to", alias = "new_path", alias = "destination")]
    to_path: String,
}

impl ToolUse {
    /// Reads a `tool_use` block; nothing for a block of another type.
    pub(crate) fn read(block: &Value) -> Option<Self> {
        if block.get("type")?.as_str()? != "tool_use" {
            return None;
        }
        let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = text("name");
        let input = block.get("input").cloned().unwrap_or_default();
        let call = ToolCall::read(&name, input);
        Some(Self { id: text("id"), name, call })
    }
}

impl ToolCall {
    fn read(name: &str, input: Value) -> Result<Self, String> {
        match name.to_ascii_lowercase().as_str() {
            "edit" => {
                let EditInput { file_path, old_string, new_string, replace_all } = parse(input)?;
                Ok(Self::Edit(Edit::Replace { path: path(&file_path)?, old: old_string, new: new_string, replace_all }))
            }
            "write" => {
                let WriteInput { file_path, content, executable } = parse(input)?;
                Ok(Self::Edit(Edit::Write { path: path(&file_path)?, content, executable }))
            }
            "delete" => {
                let DeleteInput { file_path } = parse(input)?;
                Ok(Self::Edit(Edit::Delete { path: path(&file_path)? }))
            }
            "move" => {
                let MoveInput { from_path, to_path } = parse(input)?;
                Ok(Self::Edit(Edit::Move { from: path(&from_path)?, to: path(&to_path)? }))
            }
            "submit_plan" => parse(input).map(Self::SubmitPlan),
            "submit_edits" => parse(input).map(Self::SubmitEdits),
            "submit_review" => parse(input).map(Self::SubmitReview),
            "no_change" => parse(input).map(Self::NoChange),
            _ => Err("there is no such tool".to_owned()),
        }
    }
}

fn parse<T: DeserializeOwned>(input: Value) -> Result<T, String> {
    serde_json::from_value(input).map_err(|error| error.to_string())
}

/// Reads a path as models write them: a leading `./` or `/` means the root of the repository.
pub(crate) fn path(text: &str) -> Result<RepoPath, String> {
    let text = text.trim();
    let relative = text.strip_prefix("./").or_else(|| text.strip_prefix('/')).unwrap_or(text);
    RepoPath::parse(relative).map_err(|error| format!("`{text}`: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(name: &str, input: Value) -> Result<ToolCall, String> {
        ToolUse::read(&json!({"type": "tool_use", "id": "toolu_1", "name": name, "input": input})).expect("a call").call
    }

    #[test]
    fn reads_aliases_other_case_and_unknown_keys() {
        let expected = ToolCall::Edit(Edit::Replace {
            path: path("src/a.rs").expect("valid"),
            old: "a".into(),
            new: "b".into(),
            replace_all: false,
        });
        for (name, input) in [
            ("Edit", json!({"file_path": "src/a.rs", "old_string": "a", "new_string": "b", "replace_all": false})),
            ("edit", json!({"path": "./src/a.rs", "old_str": "a", "new_str": "b", "requireUnique": true})),
            ("EDIT", json!({"filename": "/src/a.rs", "oldText": "a", "newText": "b", "type": "replace"})),
        ] {
            assert_eq!(read(name, input).as_ref(), Ok(&expected));
        }
    }

    #[test]
    fn sends_back_what_it_cannot_read() {
        assert!(read("Edit", json!({"file_path": "a"})).expect_err("incomplete").contains("old_string"));
        assert!(read("Edit", json!("text")).is_err());
        assert!(read("Delete", json!({"file_path": "../x"})).expect_err("outside").contains("`..`"));
        assert_eq!(read("rm", json!({})), Err("there is no such tool".to_owned()));
    }

    #[test]
    fn other_blocks_are_no_calls() {
        assert!(ToolUse::read(&json!({"type": "text", "text": "Edit"})).is_none());
        assert!(ToolUse::read(&json!({"type": "thinking", "thinking": "", "signature": "x"})).is_none());
    }

    #[test]
    fn enum_values_come_in_either_case() {
        let review = read("submit_review", json!({"verdict": "Approve", "findings": [], "unmet_acceptance": []}));
        assert!(matches!(review, Ok(ToolCall::SubmitReview(SubmitReview { verdict: Verdict::Approve, .. }))));
    }
}
