//! A Redis of one test, which may stop it, empty it and lock it.

use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// Set by `scripts/services`, which makes sure that `redis-server` can be run.
const REDIS_URL: &str = "TINYGEN_TEST_REDIS_URL";

/// Longest wait for the server to start.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct RedisServer {
    port: u16,
    folder: TempDir,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts one, when the tests run beside services.
    pub(crate) async fn start() -> Option<Self> {
        if std::env::var_os(REDIS_URL).is_none() {
            eprintln!("not run: {REDIS_URL} is not set");
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let mut server = Self { port, folder: tempfile::tempdir().expect("a folder"), process: None };
        server.restart().await;
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().await.expect("killed");
    }

    /// Lets it hang, its connections open.
    pub(crate) async fn stop(&self) {
        self.signal("-STOP").await;
    }

    /// Ends the hanging.
    pub(crate) async fn go_on(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let pid = self.process.as_ref().and_then(Child::id).expect("it runs").to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.expect("kill runs").success());
    }

    /// Starts it again where it was, empty.
    pub(crate) async fn restart(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &self.port.to_string()]);
        command.current_dir(self.folder.path()).stdout(Stdio::null()).kill_on_drop(true);
        self.process = Some(command.spawn().expect("redis-server is installed"));
        let answers = async {
            while self.try_command(&["PING"]).await.as_deref() != Some("PONG") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, answers).await.expect("redis-server starts");
    }

    /// Gives the answer to a command.
    pub(crate) async fn command(&self, arguments: &[&str]) -> String {
        self.try_command(arguments).await.expect("redis-server answers")
    }

    async fn try_command(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string()]).args(arguments);
        let output = command.output().await.expect("redis-cli is installed");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
