//! The client of the service under faults: asks until it is told that its job is accepted, then watches the job.
//!
//! This is the only file here that speaks the service's HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// A request that takes longer has failed.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);

/// What the webhooks of its jobs ask to be told of.
pub(crate) const TOLD_OF: [&str; 5] = ["job.started", "stage.succeeded", "job.succeeded", "job.failed", "job.canceled"];

/// Clones are the same client.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    repo_url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// The APIs that run, for all we know.
    apis: Vec<String>,
    turn: usize,
    /// Whom the next jobs are to tell.
    webhook: Option<String>,
    log: ClientLog,
}

/// What the client asked for and was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientLog {
    /// The prompts of all posts, whatever became of them. Each is asked once.
    pub(crate) asked: BTreeSet<String>,
    /// Where the jobs of posts are to send webhooks, by prompt.
    pub(crate) webhooks: BTreeMap<String, String>,
    /// The jobs of the posts that were answered 202, with their prompts.
    pub(crate) accepted: BTreeMap<Uuid, String>,
    /// The statuses of the posts that were refused.
    pub(crate) refusals: Vec<u16>,
    /// The versions that were read of each job, in order.
    pub(crate) versions: BTreeMap<Uuid, Vec<u64>>,
}

impl Client {
    pub(crate) fn new(repo_url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(REQUEST_PATIENCE).build().expect("a client");
        Self { http, repo_url: repo_url.to_owned(), shared: Arc::default() }
    }

    /// Also asks this API from now on.
    pub(crate) fn add_api(&self, url: &str) {
        self.lock().apis.push(url.to_owned());
    }

    /// Never asks this API again.
    pub(crate) fn remove_api(&self, url: &str) {
        self.lock().apis.retain(|api| api != url);
    }

    /// Jobs that are posted from now on bring this webhook along.
    pub(crate) fn tell(&self, webhook: &str) {
        self.lock().webhook = Some(webhook.to_owned());
    }

    pub(crate) fn log(&self) -> ClientLog {
        self.lock().log.clone()
    }

    /// Posts until one post is answered 202. A post whose answer got lost may have made a job too.
    pub(crate) async fn submit(&self) -> Uuid {
        self.submit_for(&self.repo_url.clone()).await
    }

    /// The same for another repository.
    pub(crate) async fn submit_for(&self, repo_url: &str) -> Uuid {
        loop {
            if let Some(id) = self.post(repo_url).await {
                return id;
            }
            sleep(PAUSE).await;
        }
    }

    pub(crate) async fn submit_all(&self, jobs: usize) -> Vec<Uuid> {
        let mut ids = Vec::new();
        for _ in 0..jobs {
            ids.push(self.submit().await);
        }
        ids
    }

    /// Posts once.
    pub(crate) async fn post(&self, repo_url: &str) -> Option<Uuid> {
        let api = self.api()?;
        let prompt = self.next_prompt();
        let mut body = json!({"repoUrl": repo_url, "prompt": prompt});
        if let Some(url) = self.lock().log.webhooks.get(&prompt) {
            body["webhook"] = json!({"url": url, "events": TOLD_OF});
        }
        let request = self.http.post(format!("{api}/analyze/")).json(&body);
        let response = request.send().await.ok()?;
        if response.status() != StatusCode::ACCEPTED {
            self.lock().log.refusals.push(response.status().as_u16());
            return None;
        }
        let job: Value = response.json().await.ok()?;
        let id = job["id"].as_str().expect("an id").parse().expect("a UUID");
        self.lock().log.accepted.insert(id, prompt);
        Some(id)
    }

    /// Posts, reads so many bytes of the answer, and takes no more.
    pub(crate) async fn post_and_read(&self, bytes: usize) {
        let api = self.api().expect("an API");
        let body = json!({"repoUrl": self.repo_url, "prompt": self.next_prompt()}).to_string();
        let host = api.trim_start_matches("http://");
        let head = format!("POST /analyze/ HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n");
        let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        let mut stream = TcpStream::connect(host).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        stream.read_exact(&mut vec![0; bytes]).await.expect("it answers");
    }

    /// The prompt of the latest post.
    pub(crate) fn last_prompt(&self) -> String {
        prompt(self.lock().log.asked.len())
    }

    fn next_prompt(&self) -> String {
        let mut shared = self.lock();
        let prompt = prompt(shared.log.asked.len() + 1);
        shared.log.asked.insert(prompt.clone());
        if let Some(url) = shared.webhook.clone() {
            shared.log.webhooks.insert(prompt.clone(), url);
        }
        prompt
    }

    /// The job as an API shows it; nothing when that one does not answer.
    pub(crate) async fn read(&self, id: Uuid) -> Option<Value> {
        let response = self.http.get(format!("{}/jobs/{id}", self.api()?)).send().await.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        let job: Value = response.json().await.ok()?;
        let version = job["version"].as_u64().expect("a version");
        self.lock().log.versions.entry(id).or_default().push(version);
        Some(job)
    }

    /// Asks for the end of a job. Gives the status of the answer.
    pub(crate) async fn cancel(&self, id: Uuid) -> Option<u16> {
        let request = self.http.post(format!("{}/jobs/{id}/cancel", self.api()?));
        Some(request.send().await.ok()?.status().as_u16())
    }

    /// Reads the jobs until all have ended, or `patience` is over. Gives the ones that have not.
    pub(crate) async fn wait_for(&self, ids: &[Uuid], patience: Duration) -> Vec<Uuid> {
        let mut open = ids.to_vec();
        let all_end = async {
            while let Some(id) = open.first().copied() {
                let status = self.read(id).await.map(|job| job["status"].clone());
                if status.is_some_and(|status| ["succeeded", "failed", "canceled"].iter().any(|end| status == *end)) {
                    open.swap_remove(0);
                } else {
                    open.rotate_left(1);
                    sleep(PAUSE).await;
                }
            }
        };
        let _in_time = timeout(patience, all_end).await;
        open
    }

    /// What webhooks are signed with.
    pub(crate) async fn webhook_secret(&self) -> String {
        let api = self.api().expect("an API");
        let request = self.http.get(format!("{api}/webhooks/default/secret"));
        let secret: Value = request.send().await.expect("an answer").json().await.expect("JSON");
        secret["secret"].as_str().expect("a secret").to_owned()
    }

    /// One API after the other.
    fn api(&self) -> Option<String> {
        let mut shared = self.lock();
        shared.turn += 1;
        shared.apis.get(shared.turn % shared.apis.len().max(1)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the n-th post asks for: no two jobs send the model the same request.
fn prompt(number: usize) -> String {
    format!("It says Helo. Make it say Hello. Request {number}.")
}
