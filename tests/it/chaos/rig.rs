//! The whole system on real services, with everything at hand that a fault may take away.

mod leftovers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::SeedableRng;
use rand::rngs::StdRng;
use sqlx::PgConnection;
use standin::claude::Script;
use standin::webhook_receiver::WebhookReceiver;
use tokio::process::Command;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::client::Client;
use super::node::{self, Node, Usage};
use super::postgres::PostgresServer;
use super::receivers::{self, RECEIVER_PATH};
use super::record::{Expected, Kill, Message, ModelRequest, Record};
use super::report::Outcome;
use super::tap::{Aim, Point, Tap};
use super::wire::{ModelWire, PostgresWire, Unseen};
use crate::app::World;
use crate::redis_server::RedisServer;

/// From a heartbeat to the time at which another worker may take over.
pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// From a fault to the next progress of a job: a lease, a sweep, and what a busy machine adds.
pub(crate) const RECOVERY: Duration = Duration::from_secs(20);
/// Longest wait for all jobs to end after the last fault.
const PATIENCE: Duration = Duration::from_mins(8);
/// Longest wait for the last webhooks: a lease of a killed worker's message, and a try after it.
const DELIVERY: Duration = Duration::from_mins(2);
/// Jobs after which a process has all that later ones need.
pub(crate) const WARM_UP: usize = 10;

/// The system under one fault.
pub(crate) struct Rig {
    fault: &'static str,
    pub(crate) world: World,
    pub(crate) postgres: PostgresServer,
    pub(crate) redis: RedisServer,
    pub(crate) client: Client,
    pub(crate) random: StdRng,
    pub(crate) expected: Expected,
    pub(crate) kills: Vec<Kill>,
    last_fault: Option<DateTime<Utc>>,
    /// How far Postgres' clock was ahead of ours while a job was done, where it was.
    clocks: BTreeMap<Uuid, TimeDelta>,
    receivers: Vec<WebhookReceiver>,
    baseline: Vec<(u32, Usage)>,
    started: usize,
}

/// How a process is started.
#[derive(Default)]
pub(crate) struct Start<'a> {
    pub(crate) kill_at: Option<Point>,
    /// 4 when absent, as the program has it.
    pub(crate) concurrency: Option<usize>,
    /// Further variables of its environment.
    pub(crate) variables: &'a [(&'static str, String)],
    /// A program that starts it: `unshare -Urm …`.
    pub(crate) within: &'a [&'a str],
}

impl Rig {
    /// The services, a migrated database, no process of the program yet; nothing beside no services.
    pub(crate) async fn new(fault: &'static str, script: impl Script) -> Option<Self> {
        let redis = RedisServer::start().await?;
        let postgres = PostgresServer::start().await;
        let world = World::new(script).await;
        let seed = super::seed();
        println!("{fault}: TINYGEN_CHAOS_SEED={seed}");
        let client = Client::new(&world.repo_url);
        let rig = Self {
            fault,
            postgres,
            redis,
            client,
            random: StdRng::seed_from_u64(seed.wrapping_add(fault.bytes().map(u64::from).sum())),
            expected: Expected { recovery: RECOVERY, ..Expected::default() },
            kills: vec![],
            last_fault: None,
            clocks: BTreeMap::new(),
            receivers: vec![],
            baseline: vec![],
            started: 0,
            world,
        };
        std::fs::create_dir(rig.temporary_folder()).expect("a folder");
        let url = PostgresServer::url_by(rig.postgres.port);
        let migrated = rig.world.program().arg("migrate").env("DATABASE_URL", url).output().await.expect("it starts");
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        rig.postgres.note_writers().await;
        Some(rig)
    }

    /// Where the program makes its temporary folders.
    pub(crate) fn temporary_folder(&self) -> PathBuf {
        self.world.folder.path().join("tmp")
    }

    /// `tinygen worker`
    pub(crate) async fn worker(&mut self) -> Node {
        self.start_worker(Start::default()).await
    }

    /// `tinygen api`, which the client asks from now on.
    pub(crate) async fn api(&mut self) -> Node {
        self.start_api(Start::default()).await
    }

    pub(crate) async fn start_worker(&mut self, start: Start<'_>) -> Node {
        let mut node = self.start("worker", start).await;
        let line = node.logged("Working").await;
        node.worker = Some(line["worker.id"].as_str().expect("a name").to_owned());
        node
    }

    pub(crate) async fn start_api(&mut self, start: Start<'_>) -> Node {
        let mut node = self.start("api", start).await;
        let line = node.logged("Listening").await;
        let url = format!("http://{}", line["address"].as_str().expect("an address"));
        self.client.add_api(&url);
        node.url = Some(url);
        node
    }

    /// Starts a command and waits for nothing.
    pub(crate) async fn start(&mut self, name: &str, start: Start<'_>) -> Node {
        self.started += 1;
        let process = format!("{:03}-{name}", self.started);
        let aim = Aim::at(start.kill_at);
        let postgres = Tap::open::<PostgresWire>(format!("127.0.0.1:{}", self.postgres.port), aim.clone()).await;
        let redis = self.redis.url().trim_start_matches("redis://").to_owned();
        let redis = Tap::open::<Unseen>(redis, aim.clone()).await;
        let model = Tap::open::<ModelWire>(self.world.claude.address().to_string(), aim.clone()).await;
        let concurrency = start.concurrency.unwrap_or(4);
        let program = self.world.program();
        let mut command = match start.within {
            [] => program,
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                let variables = program.as_std().get_envs().filter_map(|(name, value)| Some((name, value?)));
                command.env_clear().envs(variables).args(rest).arg(program.as_std().get_program());
                command.current_dir(self.world.folder.path());
                command
            }
        };
        command
            .arg(name)
            .env("DATABASE_URL", PostgresServer::url_of(&process, postgres.port))
            .env("REDIS_URL", format!("redis://127.0.0.1:{}", redis.port))
            .env("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{}", model.port))
            .env("TMPDIR", self.temporary_folder())
            .env("TINYGEN_CONCURRENCY", concurrency.to_string())
            .envs(start.variables.iter().cloned());
        let log = self.world.folder.path().join(format!("{process}.log"));
        let child = node::spawn(command, &log);
        aim.is_process(child.id().expect("it runs"));
        Node { child, aim, worker: None, url: None, concurrency, log, postgres, redis, model }
    }

    /// `kill -9`, at once.
    pub(crate) async fn kill(&mut self, node: Node) {
        node.signal("-KILL").await;
        self.bury(node).await;
    }

    /// Waits for a process that is killed at its point, and notes that.
    pub(crate) async fn bury(&mut self, mut node: Node) {
        let status = node.ended().await;
        assert!(!status.success(), "it ended by itself: {}", node.tail());
        if let Some(url) = &node.url {
            self.client.remove_api(url);
        }
        self.note_kill(&node);
    }

    pub(crate) fn note_kill(&mut self, node: &Node) {
        self.kills.push(Kill { at: Utc::now(), worker: node.worker.clone(), concurrency: node.concurrency });
        self.fault_now();
    }

    /// Notes that a fault begins or ends now.
    pub(crate) fn fault_now(&mut self) {
        self.last_fault = Some(Utc::now());
    }

    /// Notes that these jobs are done by the clock that Postgres has now.
    pub(crate) async fn note_clock(&mut self, jobs: &[Uuid]) {
        let theirs: DateTime<Utc> =
            sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut self.sql().await).await.expect("a time");
        let ahead = theirs - Utc::now();
        self.clocks.extend(jobs.iter().map(|id| (*id, ahead)));
    }

    /// Lets these processes do some jobs, and notes what they have of the machine then, before the faults.
    pub(crate) async fn warm_up(&mut self, nodes: &[Node]) {
        let ids = self.client.submit_all(WARM_UP).await;
        let open = self.client.wait_for(&ids, PATIENCE).await;
        assert!(open.is_empty(), "{open:?} have not ended");
        self.baseline = nodes.iter().map(|node| (node.pid(), node.usage())).collect();
    }

    /// Runs one job without any fault: its diff is what every job should come to. Gives the commits that its worker
    /// made and the answers that it got.
    pub(crate) async fn run_without_faults(&mut self) -> (usize, usize) {
        let api = self.api().await;
        let worker = self.start_worker(Start { concurrency: Some(1), ..Start::default() }).await;
        let id = self.client.submit().await;
        assert!(self.client.wait_for(&[id], PATIENCE).await.is_empty(), "{}", worker.tail());
        let diff: Option<Vec<u8>> = sqlx::query_scalar("SELECT diff FROM jobs WHERE id = $1")
            .bind(id)
            .fetch_one(&mut self.sql().await)
            .await
            .expect("a row");
        self.expected.diff = diff.unwrap_or_else(|| panic!("a diff: {}", worker.tail()));
        let counts = (worker.aim.commits(), worker.aim.answers());
        worker.terminate().await;
        self.retire(api).await;
        counts
    }

    /// Ends a process in order.
    pub(crate) async fn retire(&self, node: Node) {
        if let Some(url) = &node.url {
            self.client.remove_api(url);
        }
        node.terminate().await;
    }

    /// A connection to Postgres that no tap sees.
    pub(crate) async fn sql(&self) -> PgConnection {
        self.postgres.connect().await.expect("Postgres answers")
    }

    /// Who works on the job, if anybody does.
    pub(crate) async fn holder(&self, id: Uuid) -> Option<String> {
        sqlx::query_scalar("SELECT worker_id FROM jobs WHERE id = $1 AND status = 'running'")
            .bind(id)
            .fetch_optional(&mut self.sql().await)
            .await
            .expect("a row")
            .flatten()
    }

    /// Whether the latest post made a job. Which one is noted: who asks again must be told of the same.
    pub(crate) async fn is_last_post_stored(&self) -> bool {
        let jobs: Vec<(Uuid, String)> =
            sqlx::query_as("SELECT id, spec FROM jobs").fetch_all(&mut self.sql().await).await.expect("rows");
        let prompt = self.client.last_prompt();
        let stored = jobs.into_iter().find(|(_, spec)| spec.contains(&prompt));
        if let Some((id, _)) = &stored {
            self.client.note_stored(*id);
        }
        stored.is_some()
    }

    /// Waits for the end of all jobs, checks every invariant, ends the processes, and writes the report's line.
    pub(crate) async fn conclude(mut self, what: &'static str, rounds: usize, mut nodes: Vec<Node>) {
        let accepted: Vec<Uuid> = self.client.log().accepted.keys().copied().collect();
        let open = self.client.wait_for(&accepted, PATIENCE).await;
        let unaccepted = self.unaccepted().await;
        self.client.wait_for(&unaccepted, PATIENCE).await;
        self.deliveries_end().await;
        let messages = self.messages().await;
        // What a killed worker left is removed by the next one that starts.
        nodes.push(self.worker().await);
        let leftovers = self.leftovers(&nodes).await;
        if !self.baseline.is_empty() {
            let (files, memory) = (&leftovers.files, &leftovers.memory_kib);
            println!("{}: files {files:?}, KiB {memory:?}, after the warm-up and at the end", self.fault);
        }
        let mut record = Record {
            client: self.client.log(),
            requests: self.requests(),
            messages,
            kills: std::mem::take(&mut self.kills),
            last_fault: self.last_fault,
            leftovers,
            expected: std::mem::take(&mut self.expected),
            ..Record::default()
        };
        record.read(&mut self.sql().await, &self.clocks).await;
        if !open.is_empty() {
            println!("{} jobs have not ended: {open:?}", open.len());
        }
        for node in nodes {
            self.retire(node).await;
        }
        Outcome { fault: self.fault, what, rounds, record }.judge();
    }

    /// Keeps the receiver of webhooks to the end. Gives its address, which jobs may name.
    pub(crate) fn receives(&mut self, receiver: WebhookReceiver) -> String {
        let url = receiver.url(RECEIVER_PATH);
        self.receivers.push(receiver);
        url
    }

    /// What has come to the receivers so far.
    pub(crate) async fn messages(&self) -> Vec<Message> {
        if self.receivers.is_empty() {
            return vec![];
        }
        receivers::messages(&self.receivers, &self.client.webhook_secret().await)
    }

    /// Waits until no webhook is to be sent any more. What is not by then is missing at its receiver.
    async fn deliveries_end(&self) {
        let give_up_at = Instant::now() + DELIVERY;
        while self.open_deliveries().await > 0 && Instant::now() < give_up_at {
            sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) async fn open_deliveries(&self) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM webhook_deliveries WHERE status = 'pending'")
            .fetch_one(&mut self.sql().await)
            .await
            .expect("a count")
    }

    /// Jobs of posts whose answers were lost.
    async fn unaccepted(&self) -> Vec<Uuid> {
        let ids: Vec<Uuid> =
            sqlx::query_scalar("SELECT id FROM jobs").fetch_all(&mut self.sql().await).await.expect("rows");
        let accepted = self.client.log().accepted;
        ids.into_iter().filter(|id| !accepted.contains_key(id)).collect()
    }

    fn requests(&self) -> Vec<ModelRequest> {
        let ledger = self.world.claude.ledger().into_iter().filter(|exchange| exchange.path == "/v1/messages");
        ledger
            .map(|exchange| ModelRequest {
                sha256: exchange.sha256,
                at: exchange.arrived_at.into(),
                cost_nanos: exchange.cost_nanos,
            })
            .collect()
    }
}
