//! `Idempotency-Key`: the client's name for a request, so that it can be sent again without a second job.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderName};
use jobs::Idempotency;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::error::ApiError;
use crate::wire::FieldError;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says in the answer that the job was there before.
pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Longest key, in characters.
const MAX_KEY_CHARACTERS: usize = 255;

/// The request's name and what it asks for, if it has a name.
pub(crate) fn of(headers: &HeaderMap, body: &Value) -> Result<Option<Idempotency>, ApiError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().and_then(read_key).filter(|_| values.next().is_none());
    let key = key.ok_or_else(|| {
        let rule =
            format!("must be given once, with 1 to {MAX_KEY_CHARACTERS} visible ASCII characters, bare or quoted");
        ApiError::InvalidHeader(FieldError::in_header("Idempotency-Key", rule))
    })?;
    let mut canonical = String::new();
    write_canonical(body, &mut canonical);
    let body_sha256 = Sha256::digest(canonical).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes every write");
        hex
    });
    Ok(Some(Idempotency { key, body_sha256 }))
}

/// Reads a bare key, or one quoted as a string of RFC 8941 §3.3.3, as the Internet draft of the header has it.
fn read_key(text: &str) -> Option<String> {
    let key = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted.strip_suffix('"')?)?,
        None => text.to_owned(),
    };
    let is_key = (1..=MAX_KEY_CHARACTERS).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    is_key.then_some(key)
}

fn unquote(quoted: &str) -> Option<String> {
    let (mut key, mut characters) = (String::new(), quoted.chars());
    while let Some(character) = characters.next() {
        match character {
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            '"' => return None,
            _ => key.push(character),
        }
    }
    Some(key)
}

/// Writes JSON so that bodies that say the same are the same text: without blanks, the names in order, and without what
/// is `null`, which means the same as absent.
fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().filter(|(_, value)| !value.is_null()).collect();
            fields.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in fields {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        _ => text.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn idempotency(key: &str, body: &Value) -> Option<Idempotency> {
        let headers = [(IDEMPOTENCY_KEY, key.parse().expect("a value"))].into_iter().collect();
        of(&headers, body).ok().flatten()
    }

    #[test]
    fn a_key_is_the_same_bare_and_quoted() {
        let key = |text: &str| idempotency(text, &json!({})).map(|idempotency| idempotency.key);
        assert_eq!(key("a-1_b"), Some("a-1_b".to_owned()));
        assert_eq!(key("\"a-1_b\""), Some("a-1_b".to_owned()));
        assert_eq!(key(r#""a\"\\b""#), Some("a\"\\b".to_owned()));
        assert_eq!(key(&"x".repeat(255)).map(|key| key.len()), Some(255));
        for bad in ["", "\"\"", "\"a", "a b", "\"a b\"", r#""a\b""#, r#""a"b""#, &"x".repeat(256)] {
            assert_eq!(key(bad), None, "{bad}");
        }
    }

    #[test]
    fn bodies_that_say_the_same_have_one_hash() {
        let hash = |body: &Value| idempotency("k", body).expect("a key").body_sha256;
        let body = json!({"a": {"x": 1, "y": [1, "2"]}, "b": "text"});
        assert_eq!(hash(&body), hash(&json!({"b": "text", "c": null, "a": {"y": [1, "2"], "x": 1}})));
        for other in [
            json!({"a": {"x": 1, "y": ["2", 1]}, "b": "text"}),
            json!({"a": {"x": 1, "y": [1, "2"]}, "b": "text "}),
            json!({"a": {"x": 1}, "y": [1, "2"], "b": "text"}),
            json!({"a": {"x": 1, "y": [1, 2]}, "b": "text"}),
        ] {
            assert_ne!(hash(&body), hash(&other), "{other}");
        }
    }
}
