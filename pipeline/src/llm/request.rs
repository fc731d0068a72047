//! One request to the Messages API, and the exact bytes it is sent as.

use bytes::Bytes;
use domain::Effort;
use serde::Serialize;
use serde_json::Value;

use crate::digest::sha256_hex;

/// One request: the parts of a Messages API body that differ between requests.
///
/// Two requests with the same model, effort, system text and tools share a cached prefix as far as their messages are
/// the same, so what is asked for last belongs in the last block. Cache marks (`cache_control`, at most four) are
/// the caller's, inside `messages`. There is none on the system block: a mark on the sheet covers tools and system
/// too, a mark of five minutes before it would forbid one of an hour on the sheet, and the search loop needs the
/// other three.
#[derive(Debug, Clone)]
pub struct Request {
    /// Model id.
    pub model: String,
    /// The model's default when absent.
    pub effort: Option<Effort>,
    /// Bound on the output, thinking included.
    pub max_tokens: u32,
    /// System text.
    pub system: String,
    /// Tool definitions, as sent.
    pub tools: Value,
    /// The conversation, as sent. Append-only: a model's turn goes back byte for byte.
    pub messages: Vec<Value>,
}

/// How long a cache mark keeps its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CacheTtl {
    FiveMinutes,
    OneHour,
}

impl Request {
    /// The body sent to `/v1/messages`. The same request always gives the same bytes.
    pub fn body(&self) -> Bytes {
        self.serialize(Some(self.max_tokens), Some(true))
    }

    /// The body sent to `/v1/messages/count_tokens`: the same prompt, without what concerns the answer.
    pub fn count_body(&self) -> Bytes {
        self.serialize(None, None)
    }

    /// SHA-256 of [`body`](Self::body), in hexadecimal: the name of exactly this question.
    pub fn sha256(&self) -> String {
        sha256_hex(&self.body())
    }

    /// The longest-lived cache mark of the request; each one raises the price of what it writes.
    pub(super) fn longest_cache_mark(&self) -> Option<CacheTtl> {
        let in_messages = self.messages.iter().filter_map(|message| message["content"].as_array()).flatten();
        let in_tools = self.tools.as_array().into_iter().flatten();
        in_messages.chain(in_tools).filter_map(mark).max()
    }

    fn serialize(&self, max_tokens: Option<u32>, stream: Option<bool>) -> Bytes {
        let body = Body {
            model: &self.model,
            max_tokens,
            stream,
            output_config: self.effort.map(|effort| OutputConfig { effort }),
            system: (!self.system.is_empty()).then_some([TextBlock { kind: "text", text: &self.system }]),
            tools: self.tools.as_array().filter(|tools| !tools.is_empty()),
            messages: &self.messages,
        };
        serde_json::to_vec(&body).expect("every key is a string and no serializer here fails").into()
    }
}

/// The mark of a block, or of the blocks inside a tool result.
fn mark(block: &Value) -> Option<CacheTtl> {
    let own = block.get("cache_control").map(|mark| match mark["ttl"].as_str() {
        Some("1h") => CacheTtl::OneHour,
        _ => CacheTtl::FiveMinutes,
    });
    let nested = block["content"].as_array().into_iter().flatten().filter_map(mark).max();
    own.max(nested)
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<OutputConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<[TextBlock<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<&'a Vec<Value>>,
    messages: &'a [Value],
}

#[derive(Serialize)]
struct OutputConfig {
    effort: Effort,
}

#[derive(Serialize)]
struct TextBlock<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request() -> Request {
        Request {
            model: "claude-opus-5-5".into(),
            effort: None,
            max_tokens: 64_000,
            system: "You change code.".into(),
            tools: json!([{"name": "b", "input_schema": {"type": "object"}, "description": "x"}]),
            messages: vec![json!({"role": "user", "content": [{"type": "text", "text": "hi"}]})],
        }
    }

    #[test]
    fn sends_the_fields_in_the_order_of_the_cached_prefix() {
        assert_eq!(
            request().body(),
            r#"{"model":"claude-opus-5-5","max_tokens":64000,"stream":true,"system":[{"type":"text","text":"You change code."}],"tools":[{"name":"b","input_schema":{"type":"object"},"description":"x"}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#
        );
    }

    #[test]
    fn counts_the_prompt_it_would_send() {
        let request = Request { effort: Some(Effort::High), system: String::new(), tools: json!([]), ..request() };
        assert_eq!(
            request.count_body(),
            r#"{"model":"claude-opus-5-5","output_config":{"effort":"high"},"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#
        );
    }

    #[test]
    fn names_the_very_bytes() {
        assert_eq!(request().sha256().len(), 64);
        assert_eq!(request().sha256(), request().sha256());
        assert_ne!(request().sha256(), Request { max_tokens: 1, ..request() }.sha256());
    }

    #[test]
    fn finds_the_dearest_mark() {
        let with = |block: Value| Request {
            messages: vec![json!({"role": "user", "content": [{"type": "text", "text": "a"}, block]})],
            ..request()
        };
        assert_eq!(request().longest_cache_mark(), None);
        let five = with(json!({"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}));
        assert_eq!(five.longest_cache_mark(), Some(CacheTtl::FiveMinutes));
        let hour = with(json!({"type": "tool_result", "tool_use_id": "t", "content": [
            {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}));
        assert_eq!(hour.longest_cache_mark(), Some(CacheTtl::OneHour));
    }
}
