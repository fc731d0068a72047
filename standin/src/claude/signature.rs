//! Signatures of thinking blocks: they bind a block to its text, its model and the conversation before it.
//!
//! A signature carries all it needs, so that one made before a restart still holds.

use serde_json::Value;

use super::prompt::{hex, sha256, without_marks};

/// What a signature says when it comes back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Genuine,
    /// Made by another model: the API drops such a block without a word.
    OtherModel,
    /// The conversation before it is not the one it was made in.
    OtherConversation,
    /// The block was changed, or never made here.
    Edited,
}

/// Signs a thinking block that comes after `messages`.
pub(super) fn sign(request: &Value, messages: &[Value], thinking: &str) -> String {
    let model = short(request["model"].as_str().unwrap_or_default().as_bytes());
    let conversation = conversation(request, messages);
    let seal = seal(&model, &conversation, thinking);
    format!("{model}.{conversation}.{seal}")
}

/// Checks a thinking block that comes after `messages`.
pub(super) fn verify(request: &Value, messages: &[Value], thinking: &str, signature: &str) -> Verdict {
    let mut parts = signature.split('.');
    let (Some(model), Some(made_in), Some(made_seal), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Verdict::Edited;
    };
    if made_seal != seal(model, made_in, thinking) {
        Verdict::Edited
    } else if model != short(request["model"].as_str().unwrap_or_default().as_bytes()) {
        Verdict::OtherModel
    } else if made_in == conversation(request, messages) {
        Verdict::Genuine
    } else {
        Verdict::OtherConversation
    }
}

/// System, tools and all messages before, without cache marks.
fn conversation(request: &Value, messages: &[Value]) -> String {
    let before = Value::from(vec![request["system"].clone(), request["tools"].clone(), messages.into()]);
    short(without_marks(&before).to_string().as_bytes())
}

fn seal(model: &str, conversation: &str, thinking: &str) -> String {
    short(format!("claude stand-in\0{model}\0{conversation}\0{thinking}").as_bytes())
}

fn short(bytes: &[u8]) -> String {
    hex(&sha256(&[bytes])[..8])
}
