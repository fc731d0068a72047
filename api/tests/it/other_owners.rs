//! What is another owner's looks as if it were not there: every address with an id, as the API itself describes them, with
//! every method and every id of the other owner, against the same request with an id that does not exist.

use domain::{Failure, FailureCode, JobId, JobSpec, KeyId, KeyScope, Outcome, RepoUrl, StageKind, WebhookUrl};
use jobs::{DEFAULT_WEBHOOK_EVENTS, DeliveryId, Jobs, Lease, Limits, NewJob, NewWebhook, WebhookId};
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use crate::server::{Answer, Server, draft};
use crate::work;

/// What changes most comes last.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// What another owner must see nothing of.
const SECRET: &str = "only-for-owner-a";

/// What owner `a` has.
struct Belongings {
    /// One of each status; the first one has succeeded, with a diff and the output of a stage.
    jobs: Vec<JobId>,
    webhook: WebhookId,
    delivery: DeliveryId,
    key: KeyId,
}

/// A request but for its id.
struct Probe {
    method: Method,
    /// With `{id}`.
    path: String,
    accept: &'static str,
    body: Option<Value>,
}

#[tokio::test]
async fn what_is_anothers_looks_as_if_it_were_not_there() {
    let unbounded = Limits { creations_per_minute: 0, requests_per_minute: 0, ..Limits::default() };
    let server = Server::start_with(unbounded).await;
    let (owner_key, other_key) = (server.key_of("a").await, server.key_of("b").await);
    let of_a = Belongings::new(&server).await;
    let before = of_a.as_stored(&server.jobs).await;

    let (mut requests, mut different_bytes) = (0, 0);
    for probe in probes() {
        for (foreign, unknown) in of_a.ids() {
            let on_foreign = probe.send(&server, &other_key, &foreign).await;
            let on_unknown = probe.send(&server, &other_key, &unknown).await;
            let (seen, expected) = (anonymous(&on_foreign, &foreign), anonymous(&on_unknown, &unknown));
            requests += 1;
            different_bytes += difference(&seen, &expected);
            assert_eq!(seen, expected, "{} {}", probe.method, probe.path);
            assert!((400..500).contains(&on_foreign.status), "{} {}: {seen}", probe.method, probe.path);
            assert!(!seen.contains(SECRET), "{} {}: {seen}", probe.method, probe.path);
        }
    }
    println!(
        "{requests} requests for what is another owner's: {different_bytes} bytes differ from what does not exist"
    );
    assert!(requests > 500, "{requests}");
    assert_eq!(of_a.as_stored(&server.jobs).await, before, "nothing has changed");

    // The same requests reach something when the owner sends them: none of the answers above was 404 anyway.
    for (method, path) in described().into_iter().filter(|(_, path)| !path.starts_with("/keys")) {
        let id = of_a.fitting_id(&path);
        let answer =
            Probe { body: sound_body(&path), method, accept: "*/*", path }.send(&server, &owner_key, &id).await;
        assert!((200..300).contains(&answer.status), "{} {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
}

/// Every method of every address with an id; what there is, as clients and as strangers may ask for it.
fn probes() -> Vec<Probe> {
    let described = described();
    let paths = api::guarded_paths().into_iter().filter(|path| path.contains("{id}"));
    let pairs = paths.flat_map(|path| METHODS.map(|method| (method, path.clone())));
    let ways = |(method, path): (Method, String)| {
        let fields: Vec<(&'static str, Option<Value>)> = if !described.contains(&(method.clone(), path.clone())) {
            vec![("*/*", None)]
        } else if method == Method::GET {
            ["*/*", "text/event-stream", "text/x-diff"].map(|accept| (accept, None)).to_vec()
        } else {
            [None, Some(json!({})), sound_body(&path)].map(|body| ("*/*", body)).to_vec()
        };
        fields.into_iter().map(move |(accept, body)| Probe { method: method.clone(), path: path.clone(), accept, body })
    };
    pairs.flat_map(ways).collect()
}

/// Every operation with an id of which the description tells; what changes most comes last.
fn described() -> Vec<(Method, String)> {
    let description: Value = serde_json::from_str(&api::description()).expect("JSON");
    let paths = description["paths"].as_object().expect("paths");
    let has = |method: &Method, path: &str| !paths[path][method.as_str().to_lowercase()].is_null();
    let with_ids = || paths.keys().filter(|path| path.contains("{id}"));
    let of = |method: Method| {
        with_ids().filter(|path| has(&method, path)).map(|path| (method.clone(), path.clone())).collect::<Vec<_>>()
    };
    METHODS.into_iter().flat_map(of).collect()
}

/// A body that the owner may send to this address.
fn sound_body(path: &str) -> Option<Value> {
    match path {
        "/webhooks/{id}" => Some(json!({ "description": "theirs now" })),
        "/webhooks/{id}/replay" => Some(json!({ "since": "2026-01-01T00:00:00Z" })),
        "/jobs/{id}/retry" => Some(json!({ "fromStage": "plan" })),
        _ => None,
    }
}

impl Probe {
    async fn send(&self, server: &Server, key: &str, id: &str) -> Answer {
        let path = self.path.replace("{id}", id).replace("{name}", "plan");
        assert!(!path.contains('{'), "{path}: say here what stands for its other parameters");
        let request = server.request(self.method.clone(), &path).bearer_auth(key).header("accept", self.accept);
        Answer::of(match &self.body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }
}

impl Belongings {
    async fn new(server: &Server) -> Self {
        let jobs = jobs_of_a(&server.jobs).await;
        let (key, _) = server.key(draft("a", &KeyScope::DEFAULT)).await;
        let webhook = NewWebhook {
            owner: Some("a".to_owned()),
            url: WebhookUrl::parse("https://example.com/hook").expect("valid"),
            description: SECRET.to_owned(),
            events: DEFAULT_WEBHOOK_EVENTS.to_vec(),
            is_enabled: true,
        };
        let (webhook, _) = server.jobs.create_webhook(webhook).await.expect("create").expect("room for it");
        let delivery = server.jobs.test_webhook(Some("a"), webhook.id).await.expect("test").expect("a delivery");
        Self { jobs, webhook: webhook.id, delivery: delivery.id, key: key.id }
    }

    /// Every id, each with one of its kind that nothing has.
    fn ids(&self) -> Vec<(String, String)> {
        let jobs = self.jobs.iter().map(|job| (job.to_string(), JobId::new().to_string()));
        let others = [
            (self.webhook.to_string(), JobId::new().to_string()),
            (self.delivery.to_string(), JobId::new().to_string()),
            (self.key.to_string(), KeyId::new().to_string()),
        ];
        jobs.chain(others).collect()
    }

    /// The id of what this address is about.
    fn fitting_id(&self, path: &str) -> String {
        match path.split('/').nth(1) {
            Some("jobs") => self.jobs[0].to_string(),
            Some("webhooks") => self.webhook.to_string(),
            Some("deliveries") => self.delivery.to_string(),
            _ => panic!("{path}: say here what of owner `a` it leads to"),
        }
    }

    /// All of it, to be compared.
    async fn as_stored(&self, jobs: &Jobs) -> Vec<String> {
        let mut all = Vec::new();
        for id in &self.jobs {
            let job = jobs.get(*id).await.expect("read").expect("it is there");
            all.push(format!("{job:?} {:?}", jobs.events(*id, 0).await.expect("read")));
        }
        all.push(format!("{:?}", jobs.webhooks(Some("a")).await.expect("read")));
        all.push(format!("{:?}", jobs.delivery(Some("a"), self.delivery).await.expect("read")));
        let keys = jobs.keys().await.expect("read");
        all.push(format!("{:?}", keys.iter().find(|key| key.id == self.key)));
        all
    }
}

async fn jobs_of_a(jobs: &Jobs) -> Vec<JobId> {
    let succeeded = started(jobs).await;
    work::save_stage(jobs, &succeeded, StageKind::Plan.into(), json!({ "text": SECRET })).await;
    jobs.succeed(&succeeded, &work::result(Outcome::Changed, SECRET.as_bytes())).await.expect("succeed");
    let failed = started(jobs).await;
    jobs.fail(&failed, &Failure::new(FailureCode::RepoNotFound, SECRET)).await.expect("fail");
    let canceled = submitted(jobs).await;
    jobs.cancel(canceled).await.expect("cancel");
    let running = started(jobs).await;
    vec![succeeded.job_id(), failed.job_id(), canceled, running.job_id(), submitted(jobs).await]
}

async fn submitted(jobs: &Jobs) -> JobId {
    let url = RepoUrl::parse("https://github.com/jayhack/llm.sh").expect("valid");
    let new = NewJob { owner: Some("a".to_owned()), ..NewJob::from(JobSpec::new(url, SECRET)) };
    jobs.submit(new).await.expect("submit").id
}

async fn started(jobs: &Jobs) -> Lease {
    submitted(jobs).await;
    work::claim(jobs).await.lease
}

/// The answer, status and headers and body, without what names the request.
fn anonymous(answer: &Answer, id: &str) -> String {
    let request_id = answer.header("x-request-id").expect("an id").to_owned();
    let body = String::from_utf8_lossy(&answer.body).replace(&request_id, "<request>").replace(id, "<id>");
    let headers = answer.headers.iter().filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()));
    let text = |value: &HeaderValue| value.to_str().expect("text").replace(id, "<id>");
    let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {}", text(value))).collect();
    format!("{}\n{}\n\n{body}", answer.status, headers.join("\n"))
}

/// How many bytes are not the same at the same place.
fn difference(one: &str, other: &str) -> usize {
    let unlike = one.bytes().zip(other.bytes()).filter(|(one, other)| one != other).count();
    unlike + one.len().abs_diff(other.len())
}
