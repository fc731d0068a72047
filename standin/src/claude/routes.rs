//! The endpoints.

use std::future::pending;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::message::{Call, Message};
use super::models::Model;
use super::prompt::{Position, hex, positions, sha256};
use super::recording::Saved;
use super::reply::{Answer, Fault, FaultBody, Kind};
use super::rules::{Endpoint, Rejection, check, check_headers};
use super::state::{Answers, State};
use super::stream;
use super::view::RequestView;

const MAX_BODY_BYTES: usize = 32 << 20;

/// Every endpoint, at the root and under `/gateway`.
pub(super) fn router(state: Arc<State>) -> Router {
    let api = Router::new()
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1/models/{id}", get(model));
    Router::new()
        .merge(api.clone())
        .nest("/gateway", api)
        .route("/_standin/ledger", get(ledger))
        .layer(DefaultBodyLimit::disable())
        .with_state(state)
}

async fn messages(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let began = state.now();
    let number = arrive(&state, "/v1/messages", &body);
    let (call, prompt) = match read(&state, number, &headers, &body, Endpoint::Messages) {
        Ok(read) => read,
        Err(rejection) => return refuse(&state, number, &rejection),
    };
    let call = Arc::new(call);
    let open = Open { state: Arc::clone(&state), call, prompt, began };
    match &state.answers {
        Answers::Script(script) => match script.reply(&open.call.request).0 {
            Kind::Answer(answer) => {
                tokio::time::sleep(answer.delay).await;
                open.answer(answer)
            }
            Kind::Fault(fault) => fail(&state, number, fault),
            Kind::Hang => pending().await,
        },
        Answers::Replay(recording) => match recording.answer(open.call.request.sha256()) {
            Some(saved) => open.answer(saved.into()),
            None => refuse(&state, number, &stale(&open.call.request)),
        },
        Answers::Record(recorder) => {
            let (recorder, call) = (Arc::clone(recorder), Arc::clone(&open.call));
            open.answer_later(async move { recorder.answer(&call.request).await })
        }
    }
}

async fn count_tokens(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let number = arrive(&state, "/v1/messages/count_tokens", &body);
    match read(&state, number, &headers, &body, Endpoint::CountTokens) {
        Ok((_, prompt)) => {
            state.ledger.note(number, |exchange| exchange.status = 200);
            Json(json!({ "input_tokens": total(&prompt) })).into_response()
        }
        Err(rejection) => refuse(&state, number, &rejection),
    }
}

async fn model(Shared(state): Shared<Arc<State>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if let Err(rejection) = check_headers(&headers, state.options.api_key.as_deref()) {
        return rejection.into_response();
    }
    let model = state.models.iter().find(|model| model.id == id && state.options.lists_models);
    match model {
        Some(model) => Json(model.entry()).into_response(),
        None => Rejection::unknown_model(&id).into_response(),
    }
}

async fn ledger(Shared(state): Shared<Arc<State>>) -> Response {
    Json(state.ledger.all()).into_response()
}

fn arrive(state: &State, path: &str, body: &Bytes) -> usize {
    state.ledger.arrive(path, body.clone(), hex(&sha256(&[body])))
}

/// Reads a request by the rules.
fn read(
    state: &State,
    number: usize,
    headers: &HeaderMap,
    body: &Bytes,
    endpoint: Endpoint,
) -> Result<(Call, Vec<Position>), Rejection> {
    if body.len() > MAX_BODY_BYTES {
        return Err(Rejection::too_large());
    }
    let workspace = check_headers(headers, state.options.api_key.as_deref())?;
    let json: Value = serde_json::from_slice(body)
        .map_err(|error| Rejection::invalid(format!("The request body is not valid JSON: {error}")))?;
    let model = check(&json, endpoint, &state.models)?.clone();
    let prompt = positions(&json, &model, &workspace);
    if total(&prompt) > model.context_window_tokens {
        let (total, window) = (total(&prompt), model.context_window_tokens);
        return Err(Rejection::invalid(format!("prompt is too long: {total} tokens > {window} maximum")));
    }
    let request = RequestView { body: json, sha256: hex(&sha256(&[body])), number };
    Ok((Call { request, model }, prompt))
}

fn total(prompt: &[Position]) -> u64 {
    prompt.last().map_or(0, |position| position.tokens_until)
}

/// A request that kept the rules and waits for its answer.
struct Open {
    state: Arc<State>,
    call: Arc<Call>,
    prompt: Vec<Position>,
    began: std::time::Duration,
}

impl Open {
    /// The answer begins: from here on the cache has what the request wrote, and the bill is made.
    fn settle(&self, answer: Answer) -> Message {
        let model: &Model = &self.call.model;
        let input = self.state.read_and_write_cache(&self.prompt, model, self.began);
        let message = Message::new(&self.call, answer, input);
        self.state.ledger.note(self.call.request.number(), |exchange| {
            exchange.status = 200;
            exchange.stop_reason = Some(message.stop_reason.clone());
            exchange.usage = message.usage;
            exchange.error = message.breaks.as_ref().map(|how| format!("broken off: {how:?}"));
            // A refusal before any output is not billed.
            let is_free = message.stop_reason == "refusal" && message.content.is_empty();
            exchange.cost_nanos = if is_free { 0 } else { model.cost_nanos(&message.usage) };
        });
        message
    }

    fn answer(self, answer: Answer) -> Response {
        let message = self.settle(answer);
        if self.is_stream() { self.stream(|sender| stream::send(message, sender)) } else { self.whole(&message) }
    }

    /// Answers when somebody has written the answer; until then there are pings.
    fn answer_later(self, saved: impl Future<Output = Result<Saved, String>> + Send + 'static) -> Response {
        let (state, call) = (Arc::clone(&self.state), Arc::clone(&self.call));
        let headers = Self { state, call, prompt: vec![], began: self.began };
        headers.stream(|sender| async move {
            match stream::ping_until(saved, &sender).await {
                None => {}
                Some(Ok(saved)) => stream::send(self.settle(saved.into()), sender).await,
                Some(Err(message)) => stream::send_error("invalid_request_error", &message, &sender).await,
            }
        })
    }

    fn is_stream(&self) -> bool {
        self.call.request.body()["stream"] == true
    }

    fn whole(&self, message: &Message) -> Response {
        with_request_id(self.call.request.number(), Json(message.to_json()).into_response())
    }

    fn stream<F: Future<Output = ()> + Send + 'static>(
        &self,
        produce: impl FnOnce(mpsc::Sender<std::io::Result<Bytes>>) -> F,
    ) -> Response {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(produce(sender));
        let chunks = futures::stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let mut response = Body::from_stream(chunks).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        with_request_id(self.call.request.number(), response)
    }
}

fn stale(request: &RequestView) -> Rejection {
    Rejection::invalid(format!(
        "the recording is stale: it has no answer to request {} (model {}, turn {})",
        request.sha256(),
        request.model(),
        request.turn()
    ))
}

fn refuse(state: &State, number: usize, rejection: &Rejection) -> Response {
    state.ledger.note(number, |exchange| {
        exchange.status = rejection.status.as_u16();
        exchange.error = Some(rejection.message.clone());
    });
    with_request_id(number, rejection.clone().into_response())
}

fn fail(state: &State, number: usize, fault: Fault) -> Response {
    state.ledger.note(number, |exchange| {
        exchange.status = fault.status;
        exchange.error = Some(match &fault.body {
            FaultBody::Error { kind, .. } => kind.clone(),
            FaultBody::Html(_) => "html".to_owned(),
            FaultBody::Redirect => "redirect".to_owned(),
        });
    });
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match fault.body {
        FaultBody::Error { kind, message, error_code } => {
            let mut error = json!({ "type": kind, "message": message });
            if let Some(error_code) = error_code {
                error["details"] = json!({ "error_code": error_code });
            }
            (status, Json(json!({ "type": "error", "error": error, "request_id": request_id(number) }))).into_response()
        }
        FaultBody::Html(page) => (status, [(header::CONTENT_TYPE, "text/html")], page).into_response(),
        FaultBody::Redirect => status.into_response(),
    };
    for (name, value) in fault.headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    with_request_id(number, response)
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let error = json!({ "type": "error", "error": { "type": self.kind, "message": self.message } });
        (self.status, Json(error)).into_response()
    }
}

fn request_id(number: usize) -> String {
    format!("req_standin_{number:06}")
}

fn with_request_id(number: usize, mut response: Response) -> Response {
    if let Ok(id) = request_id(number).parse() {
        response.headers_mut().insert("request-id", id);
    }
    response
}
