//! The client of the Messages API against the stand-in, over real connections.

use std::sync::Mutex;
use std::time::Duration;

use domain::{Effort, FailureCode};
use egress::{Egress, EgressPolicy};
use pipeline::llm::{
    Anthropic, AnthropicConfig, Credentials, Delta, LanguageModel, LlmError, LlmFailure, Request, Response, StopReason,
    Usage,
};
use serde_json::{Value, json};
use standin::claude::{Break, ClaudeServer, Fault, Options, Reply, RequestView};

mod answers;
mod failures;
mod models;
mod recordings;

const KEY: &str = "sk-ant-test-0123456789";

fn client_of(url: &str) -> Anthropic {
    let policy = EgressPolicy {
        allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
        allow_plain_http: true,
        ..EgressPolicy::default()
    };
    let config = AnthropicConfig {
        credentials: Some(Credentials::ApiKey(KEY.into())),
        ..AnthropicConfig::new(url.parse().unwrap())
    };
    Anthropic::new(Egress::new(policy).unwrap(), config).unwrap()
}

async fn server(script: impl Fn(&RequestView) -> Reply + Send + Sync + 'static) -> (ClaudeServer, Anthropic) {
    let server = ClaudeServer::start(script).await.unwrap();
    let client = client_of(&server.url());
    (server, client)
}

fn request(messages: Vec<Value>) -> Request {
    Request {
        model: "claude-opus-5-5".into(),
        effort: Some(Effort::Medium),
        max_tokens: 64_000,
        system: "You change code.".into(),
        tools: json!([{"name": "submit_plan", "strict": true, "description": "d", "input_schema": {"type": "object",
            "properties": {"files": {"type": "array", "items": {"type": "string"}}}, "required": ["files"],
            "additionalProperties": false}}]),
        messages,
    }
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": [{"type": "text", "text": text}]})
}

async fn ask(client: &Anthropic, text: &str) -> Result<Response, LlmFailure> {
    client.complete(&request(vec![user(text)]), &|_| {}).await
}

/// The errors of calls that are answered like this, one after the other.
async fn failures(replies: impl IntoIterator<Item = Reply>) -> Vec<LlmFailure> {
    let replies: Vec<Reply> = replies.into_iter().collect();
    let count = replies.len();
    let (_server, client) = server(move |request| replies[request.number()].clone()).await;
    let mut failures = vec![];
    for _ in 0..count {
        failures.push(ask(&client, "hi").await.unwrap_err());
    }
    failures
}

/// The error of a call that is answered like this.
async fn failure(reply: Reply) -> LlmFailure {
    failures([reply]).await.remove(0)
}
