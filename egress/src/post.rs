//! One message to a receiver that nobody trusts: the whole exchange has one deadline, and its answer a bound.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Request, Response};
use url::Url;

use crate::{Egress, EgressError, Purpose};

/// How much of an answer is read: a receiver that says more is cut off.
const MAX_READ_BYTES: usize = 64 * 1024;

/// How much of an answer is kept.
const MAX_KEPT_BYTES: usize = 4 * 1024;

/// A message, as JSON.
#[derive(Debug, Clone, Copy)]
pub struct Post<'a> {
    /// Where it goes.
    pub url: &'a Url,
    /// Headers beside the content type. What cannot stand in a header is left out.
    pub headers: &'a [(&'static str, String)],
    /// The message.
    pub body: &'a str,
    /// For the whole exchange: name lookup, connection, request and answer.
    pub deadline: Duration,
}

/// What a receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`, as it is.
    pub retry_after: Option<String>,
    /// The first 4 KiB of the body, as far as it came.
    pub body: Vec<u8>,
}

impl Egress {
    /// Posts a message and gives what was answered. The status counts as soon as it is there: a body that never ends, or
    /// breaks off, is the receiver's business.
    ///
    /// # Errors
    /// [`EgressError`]; `Blocked` also when the name resolves to an address that is not permitted.
    pub async fn post(&self, message: Post<'_>) -> Result<PostAnswer, EgressError> {
        let mut request = Request::new(Method::POST, message.url.clone());
        *request.timeout_mut() = Some(message.deadline);
        *request.headers_mut() = headers(message.headers);
        *request.body_mut() = Some(message.body.to_owned().into());
        let response = self.send(request, Purpose::Webhook).await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(PostAnswer { status, retry_after, body: read_beginning(response).await })
    }
}

fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in pairs {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

async fn read_beginning(mut response: Response) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut read = 0;
    while read < MAX_READ_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        read += chunk.len();
        let room = MAX_KEPT_BYTES - kept.len();
        kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    kept
}
