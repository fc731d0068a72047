//! The body of a request, as JSON.

use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};
use tokio::time::timeout;

use crate::error::ApiError;
use crate::wire::FieldError;

/// Largest body of a request.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// How much of a body that is too large is still read. A client that is refused while it sends sees a broken
/// connection instead of the refusal.
const MAX_DISCARDED_BYTES: usize = 4 * 1024 * 1024;

/// Up to here a floating-point number has every digit of a whole one.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Longest time for the whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The body of a request, read as JSON.
///
/// What starts with `{` is JSON whatever the content type says: `curl -d` without a header says it sends a form.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        parse(&read_json(request).await?).map(Self)
    }
}

/// The body of a request whose fields are all optional: no body at all, or `null`, says the same as an empty object.
pub(crate) struct OptionalJsonBody<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        if request.body().is_end_stream() {
            return Ok(Self(T::default()));
        }
        let bytes = read_json(request).await?;
        if bytes.trim_ascii() == b"null" { Ok(Self(T::default())) } else { parse(&bytes).map(Self) }
    }
}

/// Reads a body that is to be JSON.
async fn read_json(request: Request) -> Result<Vec<u8>, ApiError> {
    let says_json = request.headers().get(CONTENT_TYPE).is_none_or(|value| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        essence.eq_ignore_ascii_case(b"application/json")
    });
    let body = timeout(BODY_TIMEOUT, read(request.into_body())).await;
    let bytes = body.map_err(|_| ApiError::BodyTimeout(BODY_TIMEOUT.as_secs()))??;
    if !says_json && !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::NotJson);
    }
    Ok(bytes)
}

async fn read(body: Body) -> Result<Vec<u8>, ApiError> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut received = 0;
    while received <= MAX_DISCARDED_BYTES
        && let Some(chunk) = chunks.next().await
    {
        let chunk = chunk.map_err(|_| ApiError::MalformedJson("the body broke off".to_owned()))?;
        received += chunk.len();
        if received <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        }
    }
    if received <= MAX_BODY_BYTES { Ok(bytes) } else { Err(ApiError::BodyTooLarge(MAX_BODY_BYTES)) }
}

/// Reads the syntax first and the meaning after it, so that the two kinds of mistakes get different answers.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| ApiError::MalformedJson(error.to_string()))?;
    write_whole_numbers(&mut value);
    if !value.is_object() {
        return Err(ApiError::Invalid(vec![FieldError::new("", "the body must be a JSON object")]));
    }
    serde_path_to_error::deserialize(value)
        .map_err(|error| ApiError::Invalid(vec![FieldError::new(pointer(error.path()), error.inner())]))
}

/// Writes whole numbers without a fraction: `3.0` is the integer 3 in JSON Schema, and in languages with one kind of number.
fn write_whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole =
                number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < MAX_WHOLE);
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
            if let Some(whole) = whole {
                *number = (whole as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(write_whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The JSON pointer (RFC 6901) of a place in a body.
pub(crate) fn pointer(path: &Path) -> String {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } | Segment::Enum { variant: key } => token(key),
        Segment::Unknown => String::new(),
    };
    path.iter().map(step).collect()
}

/// The step of a JSON pointer into the field of this name.
pub(crate) fn token(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        lines: Vec<u32>,
    }

    fn first_pointer(body: &str) -> String {
        match parse::<Order>(body.as_bytes()) {
            Err(ApiError::Invalid(errors)) => errors[0].pointer.clone().expect("a place in the body"),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn points_at_the_mistake() {
        assert_eq!(first_pointer(r#"{"lines":[1,"2"]}"#), "/lines/1");
        assert_eq!(first_pointer(r#"{"lines":[],"a/b~c":1}"#), "/a~1b~0c");
        assert_eq!(first_pointer("[]"), "");
    }

    #[test]
    fn a_whole_number_may_have_a_point() {
        let read = |body: &str| parse::<Order>(body.as_bytes()).map(|order| order.lines).ok();
        assert_eq!(read(r#"{"lines":[1.0,2e2,3]}"#), Some(vec![1, 200, 3]));
        assert_eq!(read(r#"{"lines":[1.5]}"#), None);
        let mut large = serde_json::json!([1e300, -0.5]);
        write_whole_numbers(&mut large);
        assert_eq!(large, serde_json::json!([1e300, -0.5]));
    }

    #[test]
    fn broken_syntax_is_another_answer_than_wrong_meaning() {
        for body in ["", "{", r#"{"lines":[]} x"#, &"[".repeat(10_000), "{\"lines\":\"\u{0}\"}"] {
            assert!(matches!(parse::<Order>(body.as_bytes()), Err(ApiError::MalformedJson(_))), "{body}");
        }
        assert!(parse::<Order>(b"{\"lines\":[1]}").is_ok());
    }
}
