//! A server on a port of its own, and a client for it.

use std::net::SocketAddr;

use api::{ApiState, Pace, WorkerHealth};
use domain::KeyScope;
use egress::{Egress, EgressPolicy};
use jobs::{ApiKey, Jobs, KeyDraft, LimitOverrides, Limits, NewKey, Policy};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::contract;

/// A running server over a store of its own.
pub(crate) struct Server {
    pub(crate) jobs: Jobs,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    client: Client,
    directory: Option<TempDir>,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    /// A server with these limits for keys that have none of their own.
    pub(crate) async fn start_with(limits: Limits) -> Self {
        let server = Self::start_on_an_empty_database(limits, Policy::default()).await;
        server.jobs.migrate().await.expect("migrate");
        server
    }

    /// The same, with another patience.
    pub(crate) async fn start_at(pace: Pace) -> Self {
        let server = Self::start().await;
        Self { directory: server.directory, ..Self::over(server.jobs, pace).await }
    }

    /// A server that pages of this origin may use.
    pub(crate) async fn start_for_pages_of(origin: &str) -> Self {
        let server = Self::start().await;
        let origin = origin.parse().expect("an origin");
        let directory = server.directory;
        Self { directory, ..Self::serve(server.jobs, |state| state.with_origins([origin])).await }
    }

    /// A server whose store fails: the database is there, its tables are not.
    pub(crate) async fn start_without_tables() -> Self {
        Self::start_on_an_empty_database(Limits::default(), Policy::default()).await
    }

    /// A server whose jobs live by these rules.
    pub(crate) async fn start_under(policy: Policy) -> Self {
        let server = Self::start_on_an_empty_database(Limits::default(), policy).await;
        server.jobs.migrate().await.expect("migrate");
        server
    }

    /// A server that is for this machine only as long as it is open.
    pub(crate) async fn start_for_this_machine() -> Self {
        let server = Self::start().await;
        Self { directory: server.directory, ..Self::serve(server.jobs, ApiState::for_this_machine).await }
    }

    /// A server beside a worker that does as told.
    pub(crate) async fn start_beside(worker: WorkerHealth) -> Self {
        let server = Self::start().await;
        Self {
            directory: server.directory,
            ..Self::serve(server.jobs, |state| state.beside_worker(move || worker)).await
        }
    }

    async fn start_on_an_empty_database(limits: Limits, policy: Policy) -> Self {
        let directory = TempDir::new().expect("directory");
        let database = format!("sqlite:{}", directory.path().join("jobs.db").display());
        let jobs = Jobs::open(&database).await.expect("open the store").with_policy(policy);
        Self { directory: Some(directory), ..Self::serve(jobs, |state| state.with_limits(limits)).await }
    }

    /// A server that keeps what is counted in this process: tests that run in the same one count together.
    pub(crate) async fn start_counting() -> Self {
        let server = Self::start().await;
        let counted = exposition::Exposition::install();
        let configure = |state: ApiState| state.with_metrics(move || counted.to_string());
        Self { directory: server.directory, ..Self::serve(server.jobs, configure).await }
    }

    /// A server of its own patience over these jobs.
    pub(crate) async fn over(jobs: Jobs, pace: Pace) -> Self {
        Self::serve(jobs, |state| state.with_pace(pace)).await
    }

    async fn serve(jobs: Jobs, configure: impl FnOnce(ApiState) -> ApiState) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("bound");
        let egress = Egress::new(EgressPolicy::default()).expect("egress");
        let state = configure(ApiState::new(jobs.clone(), egress));
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(api::serve(listener, state, shutdown.clone()));
        Self { jobs, address, shutdown, task, client: Client::new(), directory: None }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// Makes a key as another process would. Gives its text.
    pub(crate) async fn key(&self, draft: KeyDraft) -> (ApiKey, String) {
        let new = NewKey::try_from(draft).expect("a fit draft");
        let (key, token) = self.jobs.create_key(new).await.expect("a key");
        (key, token.expose())
    }

    /// Makes the key of an owner who may do everything within their own.
    pub(crate) async fn key_of(&self, owner: &str) -> String {
        self.key(draft(owner, &KeyScope::DEFAULT)).await.1
    }

    /// Gets an address with a key.
    pub(crate) async fn get_with(&self, key: &str, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).bearer_auth(key)).await
    }

    /// Posts a JSON body with a key.
    pub(crate) async fn post_with(&self, key: &str, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).bearer_auth(key).json(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// Posts a JSON body to the seed's address.
    pub(crate) async fn create(&self, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, "/analyze/").json(body)).await
    }
}

/// What to ask for when a key is made.
pub(crate) fn draft(owner: &str, scopes: &[KeyScope]) -> KeyDraft {
    KeyDraft {
        name: "a test's".to_owned(),
        owner: Some(owner.to_owned()),
        scopes: scopes.to_vec(),
        limits: LimitOverrides::default(),
        lifetime: None,
    }
}

impl Answer {
    /// The answer to a request, which is one that the API is said to give.
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.expect("a request");
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response: Response = client.execute(request).await.expect("answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Self { status, headers, body: response.bytes().await.expect("body").to_vec() };
        contract::check(&method, &path, &answer);
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    /// The problem, after checking what every problem has.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["requestId"].as_str(), self.header("x-request-id"));
        problem
    }

    /// The JSON body with what differs from run to run replaced by what it is.
    pub(crate) fn redacted(&self) -> Value {
        let mut body = self.json();
        let id = body["id"].as_str().unwrap_or("no id").to_owned();
        redact(&mut body, &id);
        body
    }
}

/// Replaces what differs from run to run by what it is.
pub(crate) fn redact(value: &mut Value, id: &str) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if (name.ends_with("At") || name == "at") && field.is_string() {
                    *field = "<time>".into();
                } else if name == "durationMs" && field.is_number() {
                    *field = "<ms>".into();
                } else {
                    redact(field, id);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, id)),
        Value::String(text) => *text = text.replace(id, "<id>"),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
