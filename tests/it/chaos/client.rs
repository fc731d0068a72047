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
    /// What was sent once and had no answer.
    unanswered: Vec<Submission>,
    log: ClientLog,
}

/// What is sent for a job, the same at each try: under one key any number of tries makes one job.
#[derive(Clone)]
struct Submission {
    key: String,
    prompt: String,
    body: Value,
}

/// What the client asked for and was told.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientLog {
    /// The prompts of all submissions, whatever became of them. Each has an `Idempotency-Key` of its own.
    pub(crate) asked: BTreeSet<String>,
    /// Where the jobs of submissions are to send webhooks, by prompt.
    pub(crate) webhooks: BTreeMap<String, String>,
    /// The jobs that were found stored when their submissions had no answer yet, by prompt.
    pub(crate) stored: BTreeMap<String, Uuid>,
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

    /// Posts the same until it is answered 202.
    pub(crate) async fn submit(&self) -> Uuid {
        self.submit_for(&self.repo_url).await
    }

    /// The same for another repository.
    pub(crate) async fn submit_for(&self, repo_url: &str) -> Uuid {
        self.insist(&self.submission(repo_url)).await
    }

    /// Goes on with what was sent once and had no answer.
    pub(crate) async fn ask_again(&self) {
        let unanswered = std::mem::take(&mut self.lock().unanswered);
        for submission in unanswered {
            self.insist(&submission).await;
        }
    }

    pub(crate) async fn submit_all(&self, jobs: usize) -> Vec<Uuid> {
        let mut ids = Vec::new();
        for _ in 0..jobs {
            ids.push(self.submit().await);
        }
        ids
    }

    /// Posts something new, once.
    pub(crate) async fn post(&self) -> Option<Uuid> {
        let submission = self.submission(&self.repo_url);
        let id = self.try_once(&submission).await;
        if id.is_none() {
            self.lock().unanswered.push(submission);
        }
        id
    }

    /// Posts something new, reads so many bytes of the answer, and takes no more.
    pub(crate) async fn post_and_read(&self, bytes: usize) {
        let api = self.api().expect("an API");
        let submission = self.submission(&self.repo_url);
        let (key, body) = (&submission.key, submission.body.to_string());
        let host = api.trim_start_matches("http://");
        let head = format!("POST /analyze/ HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n");
        let request = format!("{head}idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let mut stream = TcpStream::connect(host).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        stream.read_exact(&mut vec![0; bytes]).await.expect("it answers");
        self.lock().unanswered.push(submission);
    }

    async fn insist(&self, submission: &Submission) -> Uuid {
        loop {
            if let Some(id) = self.try_once(submission).await {
                return id;
            }
            sleep(PAUSE).await;
        }
    }

    async fn try_once(&self, submission: &Submission) -> Option<Uuid> {
        let request = self.http.post(format!("{}/analyze/", self.api()?));
        let request = request.header("idempotency-key", &submission.key).json(&submission.body);
        let response = request.send().await.ok()?;
        let status = response.status();
        if status != StatusCode::ACCEPTED {
            assert!(!status.is_client_error(), "{status}: it would be refused for ever");
            self.lock().log.refusals.push(status.as_u16());
            return None;
        }
        let job: Value = response.json().await.ok()?;
        let id = job["id"].as_str().expect("an id").parse().expect("a UUID");
        self.lock().log.accepted.insert(id, submission.prompt.clone());
        Some(id)
    }

    /// The prompt of the latest submission.
    pub(crate) fn last_prompt(&self) -> String {
        prompt(self.lock().log.asked.len())
    }

    /// Notes the job of the latest submission, which had no answer.
    pub(crate) fn note_stored(&self, id: Uuid) {
        let prompt = self.last_prompt();
        self.lock().log.stored.insert(prompt, id);
    }

    fn submission(&self, repo_url: &str) -> Submission {
        let mut shared = self.lock();
        let number = shared.log.asked.len() + 1;
        let prompt = prompt(number);
        shared.log.asked.insert(prompt.clone());
        let mut body = json!({"repoUrl": repo_url, "prompt": prompt});
        if let Some(url) = shared.webhook.clone() {
            body["webhook"] = json!({"url": url, "events": TOLD_OF});
            shared.log.webhooks.insert(prompt.clone(), url);
        }
        Submission { key: format!("submission-{number}"), prompt, body }
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
