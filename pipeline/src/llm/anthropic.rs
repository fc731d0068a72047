//! Claude over the Messages API.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use egress::{Egress, EgressError, Purpose};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sse_stream::SseByteStream;
use url::Url;

use super::answer::Answer;
use super::classify::{http_error, request_id};
use super::config::{AnthropicConfig, ConfigError, check_base_url, headers, secrets};
use super::models::ListedModel;
use super::{Delta, LanguageModel, LlmError, LlmFailure, ModelInfo, ModelTable, Request, Response};

/// The largest answer that is read; 128,000 tokens are well below a tenth of it.
const MAX_STREAM_BYTES: usize = 64 << 20;

/// The largest answer that is not a stream.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Time for an answer that is not a stream. A stream has no bound in all, only between bytes (egress sets it).
const SHORT_CALL_TIMEOUT: Duration = Duration::from_mins(1);

/// Claude, or a gateway that speaks its protocol.
pub struct Anthropic {
    egress: Egress,
    base_url: Url,
    headers: HeaderMap,
    secrets: Vec<SecretString>,
    table: ModelTable,
    /// What the service said of each model; asked once per process.
    known: Mutex<HashMap<String, ModelInfo>>,
}

impl Anthropic {
    /// A client with these settings.
    pub fn new(egress: Egress, config: AnthropicConfig) -> Result<Self, ConfigError> {
        check_base_url(&config.base_url)?;
        Ok(Self {
            egress,
            headers: headers(&config)?,
            secrets: secrets(&config),
            base_url: config.base_url,
            table: config.models,
            known: Mutex::default(),
        })
    }

    async fn ask(
        &self,
        request: &Request,
        on_delta: &(dyn Fn(Delta<'_>) + Send + Sync),
    ) -> Result<Response, LlmFailure> {
        let http = self.request(Method::POST, &["messages"], Some(request.body()));
        let response = self.send(http, &request.model).await?;
        let request_id = request_id(response.headers());
        let mut answer = Answer::default();
        let read = self.read(response, &mut answer, request, request_id.as_deref(), on_delta).await;
        let usage = answer.usage();
        read.and_then(|()| answer.finish(request_id.clone())).map_err(|error| LlmFailure { error, usage, request_id })
    }

    async fn read(
        &self,
        response: reqwest::Response,
        answer: &mut Answer,
        request: &Request,
        request_id: Option<&str>,
        on_delta: &(dyn Fn(Delta<'_>) + Send + Sync),
    ) -> Result<(), LlmError> {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            return Err(LlmError::Malformed("a stream was asked for, and the answer is none".into()));
        }
        let mut left = MAX_STREAM_BYTES;
        let bytes = response.bytes_stream().map_err(BrokenStream::Transport).map(move |chunk| {
            let chunk = chunk?;
            left = left.checked_sub(chunk.len()).ok_or(BrokenStream::TooLong)?;
            Ok::<_, BrokenStream>(chunk)
        });
        let mut events = SseByteStream::new(bytes);
        while let Some(event) = events.next().await {
            // Some proxies keep a connection alive by events with nothing in them.
            let Some(data) = event.map_err(broken)?.data.filter(|data| !data.is_empty()) else { continue };
            let complete = answer.take(&data, &request.model, request_id, on_delta);
            if complete.map_err(|error| self.clean(error))? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn count(&self, request: &Request) -> Result<u64, LlmError> {
        #[derive(Deserialize)]
        struct Count {
            input_tokens: u64,
        }
        let http = self.request(Method::POST, &["messages", "count_tokens"], Some(request.count_body()));
        let body = self.send_short(http, &request.model).await?;
        let count: Count = serde_json::from_slice(&body)
            .map_err(|_| LlmError::Malformed("the answer to a count of tokens is none".into()))?;
        Ok(count.input_tokens)
    }

    /// What the table says, brought up to date by the service where it has an answer. Gateways often have none, and
    /// a fault now need not be one when the model is asked, so a row of the table is enough.
    async fn look_up(&self, model: &str) -> Result<ModelInfo, LlmError> {
        if let Some(info) = self.known().get(model) {
            return Ok(info.clone());
        }
        let unknown = |answer| LlmError::UnknownModel { model: model.to_owned(), answer };
        let row = self.table.get(model).cloned();
        let info = match (self.list(model).await, row) {
            (Ok(Some(listed)), _) if listed.lifecycle.as_deref() == Some("retired") => return Err(unknown(None)),
            (Ok(Some(listed)), Some(mut row)) => {
                row.update(&listed);
                row
            }
            (Ok(None) | Err(LlmError::UnknownModel { .. }), Some(row)) => row,
            (Ok(_), None) => return Err(unknown(None)),
            (Err(error @ (LlmError::Authentication(_) | LlmError::Account(_) | LlmError::Blocked(_))), _) => {
                return Err(error);
            }
            // Not remembered: the service may well answer the next time.
            (Err(_), Some(row)) => return Ok(row),
            (Err(error), None) => return Err(error),
        };
        self.known().insert(model.to_owned(), info.clone());
        Ok(info)
    }

    /// The service's own entry for a model; nothing when the answer is not one.
    async fn list(&self, model: &str) -> Result<Option<ListedModel>, LlmError> {
        let body = self.send_short(self.request(Method::GET, &["models", model], None), model).await?;
        let listed: Option<ListedModel> = serde_json::from_slice(&body).ok();
        Ok(listed.filter(|listed| listed.id == model))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, ModelInfo>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, method: Method, path: &[&str], body: Option<Bytes>) -> reqwest::Request {
        let mut url = self.base_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = self.headers.clone();
        *request.body_mut() = body.map(Into::into);
        request
    }

    /// Sends a request whose answer is a small JSON document, and reads it.
    async fn send_short(&self, mut request: reqwest::Request, model: &str) -> Result<Bytes, LlmError> {
        *request.timeout_mut() = Some(SHORT_CALL_TIMEOUT);
        let response = self.send(request, model).await?;
        read_body(response).await.map_err(broken_transport)
    }

    /// Sends a request; an answer with an error's status is an error.
    async fn send(&self, request: reqwest::Request, model: &str) -> Result<reqwest::Response, LlmError> {
        let response = self.egress.send(request, Purpose::Model).await.map_err(no_response)?;
        if response.status() == StatusCode::OK {
            return Ok(response);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // The status says enough when the rest of the answer does not come.
        let body = read_body(response).await.unwrap_or_default();
        Err(self.clean(http_error(status, &headers, &body, model)))
    }

    /// Cuts our credentials out of what the service says, which some gateways repeat, and bounds it.
    fn clean(&self, mut error: LlmError) -> LlmError {
        // A very short value is no secret, and cutting it out would make the text unreadable.
        let secrets = self.secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| secret.len() >= 6);
        if let Some(answer) = error.answer_mut() {
            answer.clean(&secrets.collect::<Vec<_>>());
        }
        error
    }
}

/// Shows where it asks, and nothing of who we are.
impl fmt::Debug for Anthropic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anthropic").field("host", &self.base_url.host_str()).finish_non_exhaustive()
    }
}

impl LanguageModel for Anthropic {
    fn info<'a>(&'a self, model: &'a str) -> BoxFuture<'a, Result<ModelInfo, LlmError>> {
        self.look_up(model).boxed()
    }

    fn count_tokens<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<u64, LlmError>> {
        self.count(request).boxed()
    }

    fn complete<'a>(
        &'a self,
        request: &'a Request,
        on_delta: &'a (dyn Fn(Delta<'_>) + Send + Sync),
    ) -> BoxFuture<'a, Result<Response, LlmFailure>> {
        self.ask(request, on_delta).boxed()
    }
}

/// Why the bytes of a stream stopped coming.
#[derive(Debug, thiserror::Error)]
enum BrokenStream {
    #[error("the connection broke")]
    Transport(#[source] reqwest::Error),
    #[error("the answer is longer than any model's")]
    TooLong,
}

fn broken(error: sse_stream::Error) -> LlmError {
    let sse_stream::Error::Body(source) = error else {
        return LlmError::Malformed("the stream is not UTF-8".into());
    };
    match source.downcast::<BrokenStream>().map(|broken| *broken) {
        Ok(BrokenStream::Transport(error)) => broken_transport(error),
        Ok(BrokenStream::TooLong) => LlmError::Malformed("the answer is longer than any model's".into()),
        Err(source) => LlmError::Interrupted(Some(source)),
    }
}

fn broken_transport(error: reqwest::Error) -> LlmError {
    if error.is_timeout() { LlmError::Timeout } else { LlmError::Interrupted(Some(error.without_url().into())) }
}

fn no_response(error: EgressError) -> LlmError {
    match error {
        // What was sent may have been taken, and worked on.
        EgressError::Timeout(source) if !source.is_connect() => LlmError::Timeout,
        EgressError::Unreachable(source) if !source.is_connect() => LlmError::Interrupted(Some(source.into())),
        EgressError::Blocked(_) => LlmError::Blocked(error.into()),
        EgressError::Timeout(_) | EgressError::Unreachable(_) | EgressError::Setup(_) => {
            LlmError::Unreachable(error.into())
        }
    }
}

/// A small body; what is beyond the bound is not read.
async fn read_body(response: reqwest::Response) -> Result<Bytes, reqwest::Error> {
    let mut chunks = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(chunk) = chunks.try_next().await? {
        let room = MAX_BODY_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    Ok(body.into())
}
