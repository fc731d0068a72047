//! A server on a port of its own, and a client for it.

use std::net::SocketAddr;

use api::{ApiState, Pace};
use egress::{Egress, EgressPolicy};
use jobs::Jobs;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

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
        let server = Self::start_without_tables().await;
        server.jobs.migrate().await.expect("migrate");
        server
    }

    /// The same, with another patience.
    pub(crate) async fn start_with(pace: Pace) -> Self {
        let server = Self::start().await;
        Self { directory: server.directory, ..Self::over(server.jobs, pace).await }
    }

    /// A server whose store fails: the database is there, its tables are not.
    pub(crate) async fn start_without_tables() -> Self {
        let directory = TempDir::new().expect("directory");
        let database = format!("sqlite:{}", directory.path().join("jobs.db").display());
        let jobs = Jobs::open(&database).await.expect("open the store");
        Self { directory: Some(directory), ..Self::over(jobs, Pace::default()).await }
    }

    /// A server of its own patience over these jobs.
    pub(crate) async fn over(jobs: Jobs, pace: Pace) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("bound");
        let egress = Egress::new(EgressPolicy::default()).expect("egress");
        let state = ApiState::new(jobs.clone(), egress).with_pace(pace);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(api::serve(listener, state, shutdown.clone()));
        Self { jobs, address, shutdown, task, client: Client::new(), directory: None }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// Posts a JSON body to the seed's address.
    pub(crate) async fn create(&self, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, "/analyze/").json(body)).await
    }
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response: Response = request.send().await.expect("answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.expect("body").to_vec() }
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

fn redact(value: &mut Value, id: &str) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name.ends_with("At") && field.is_string() {
                    *field = "<time>".into();
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
