//! Several processes of the program on one Postgres and one Redis, both of which a test may take away.

use reqwest::Url;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use standin::claude::Script;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use crate::app::{Log, Process, Server, World};
use crate::redis_server::RedisServer;

/// Set by `scripts/services`.
const POSTGRES_URL: &str = "TINYGEN_TEST_POSTGRES_URL";

const DATABASE_URL: &str = "DATABASE_URL";

pub(crate) struct Cluster {
    pub(crate) world: World,
    pub(crate) redis: RedisServer,
    pub(crate) postgres: Tap,
    server_url: String,
    pub(crate) schema: String,
    variables: Vec<(&'static str, String)>,
}

impl Cluster {
    /// An empty database and a Redis of its own, when the tests run beside services.
    pub(crate) async fn start(script: impl Script) -> Option<Self> {
        let Ok(server_url) = std::env::var(POSTGRES_URL) else {
            eprintln!("not run: {POSTGRES_URL} is not set");
            return None;
        };
        let redis = RedisServer::start().await?;
        let schema = format!("test_{}", Uuid::now_v7().simple());
        run_sql(&server_url, format!("CREATE SCHEMA {schema}")).await;

        let mut url = Url::parse(&server_url).expect("a URL");
        let target = format!("{}:{}", url.host_str().expect("a host"), url.port().unwrap_or(5432));
        let postgres = Tap::open(target).await;
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(postgres.port)).expect("a port");
        url.query_pairs_mut().append_pair("options[search_path]", &schema);
        let variables = vec![(DATABASE_URL, url.to_string()), ("REDIS_URL", redis.url())];
        Some(Self { world: World::new(script).await, redis, postgres, server_url, schema, variables })
    }

    /// Gives every process that is started from now on these variables too.
    pub(crate) fn set(&mut self, variables: &[(&'static str, String)]) {
        self.variables.extend_from_slice(variables);
    }

    /// `tinygen migrate`
    pub(crate) async fn migrate(&self) {
        let output = self.output("migrate").await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Runs a command to its end.
    pub(crate) async fn output(&self, command: &str) -> std::process::Output {
        self.world
            .program()
            .args(command.split(' '))
            .envs(self.variables.clone())
            .output()
            .await
            .expect("the program starts")
    }

    /// `tinygen api`
    pub(crate) async fn api(&self) -> Server {
        self.world.serve_as("api", &self.variables).await
    }

    /// `tinygen api` that reaches Postgres by another way, at this port.
    pub(crate) async fn api_through(&self, port: u16) -> Server {
        let mut variables = self.variables.clone();
        for (_, url) in variables.iter_mut().filter(|(name, _)| *name == DATABASE_URL) {
            *url = url.replace(&self.postgres.address(), &format!("127.0.0.1:{port}"));
        }
        self.world.serve_as("api", &variables).await
    }

    /// `tinygen serve`
    pub(crate) async fn serve(&self) -> Server {
        self.world.serve_as("serve", &self.variables).await
    }

    /// `tinygen worker`
    pub(crate) async fn worker(&self) -> Process {
        self.world.start("worker", &self.variables, "Working").await.0
    }

    /// `tinygen worker`, with what it logs.
    pub(crate) async fn logged_worker(&self) -> (Process, Log) {
        self.world.start_logged("worker", &self.variables, "Working").await
    }

    /// `tinygen worker` that answers health checks at this address.
    pub(crate) async fn worker_at(&self, listen: &str) -> Process {
        let variables = [&self.variables[..], &[("TINYGEN_WORKER_LISTEN", listen.to_owned())]].concat();
        self.world.start("worker", &variables, "Working").await.0
    }

    /// `tinygen worker`, while the database is away.
    pub(crate) async fn waiting_worker(&self) -> Process {
        self.world.start("worker", &self.variables, "The database does not answer; trying again").await.0
    }

    /// A connection of the test's own, past the tap.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.server_url).await.expect("Postgres answers")
    }

    /// Removes the database.
    pub(crate) async fn remove(self) {
        run_sql(&self.server_url, format!("DROP SCHEMA {} CASCADE", self.schema)).await;
    }
}

async fn run_sql(server_url: &str, sql: String) {
    let mut connection = PgConnection::connect(server_url).await.expect("Postgres answers");
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.expect("it may");
}

/// A way to a server that can be cut: to who uses it, the server is gone.
pub(crate) struct Tap {
    port: u16,
    target: String,
    flow: Option<JoinHandle<()>>,
}

impl Tap {
    async fn open(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let flow = Some(tokio::spawn(forward(listener, target.clone())));
        Self { port, target, flow }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Closes every connection and refuses new ones.
    pub(crate) async fn cut(&mut self) {
        let flow = self.flow.take().expect("not cut yet");
        flow.abort();
        assert!(flow.await.is_err_and(|error| error.is_cancelled()));
    }

    /// Lets everything through again.
    pub(crate) async fn mend(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("the same port");
        self.flow = Some(tokio::spawn(forward(listener, self.target.clone())));
    }
}

async fn forward(listener: TcpListener, target: String) {
    let mut connections = JoinSet::new();
    loop {
        let (mut near, _) = listener.accept().await.expect("a connection");
        let target = target.clone();
        connections.spawn(async move {
            let mut far = TcpStream::connect(target).await.expect("the server is there");
            // Whichever side ends it: the other one is told by the drop.
            let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
    }
}
