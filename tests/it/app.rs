//! The program as a user starts it, between a Git host and a model on loopback.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use standin::claude::{ClaudeServer, Reply, RequestView, Script};
use standin::git::GitServer;
use standin::repo::RepoBuilder;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Longest wait for a state that must come.
const PATIENCE: Duration = Duration::from_mins(1);

/// The world around the program: a repository, a model, a data directory that outlives processes.
pub(crate) struct World {
    pub(crate) git: GitServer,
    pub(crate) claude: ClaudeServer,
    pub(crate) folder: TempDir,
    pub(crate) repo_url: String,
}

impl World {
    pub(crate) async fn new(script: impl Script) -> Self {
        let git = GitServer::start().await.expect("a Git server");
        let files = RepoBuilder::new()
            .file("greet.sh", "#!/bin/sh\necho \"Helo, $1\"\n")
            .file("README.md", "# greet\n\nPrints Hello and a name.\n")
            .commit("Add greet");
        git.add("greet", &files).expect("a repository");
        let claude = ClaudeServer::start(script).await.expect("a model");
        let repo_url = git.url("greet");
        Self { git, claude, folder: tempfile::tempdir().expect("a folder"), repo_url }
    }

    /// The program, with nothing of this machine's configuration.
    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tinygen"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("ANTHROPIC_API_KEY", "test-key")
            .env("ANTHROPIC_BASE_URL", self.claude.url())
            .env("TINYGEN_EGRESS_ALLOW", "127.0.0.0/8")
            .env("TINYGEN_ALLOW_PLAIN_HTTP", "1")
            .env("TINYGEN_LISTEN", "127.0.0.1:0")
            .env("TINYGEN_LOG_FORMAT", "json")
            .current_dir(self.folder.path())
            .kill_on_drop(true);
        command
    }

    /// Runs the program to its end.
    pub(crate) async fn tinygen(&self, arguments: &[&str]) -> Output {
        self.program().args(arguments).output().await.expect("the program starts")
    }

    /// Starts `tinygen serve` and waits until it listens.
    pub(crate) async fn serve(&self) -> Server {
        self.serve_as("serve", &[]).await
    }

    /// Starts a command that serves the API and waits until it listens.
    pub(crate) async fn serve_as(&self, command: &str, variables: &[(&str, String)]) -> Server {
        let (process, event) = self.start(command, variables, "Listening").await;
        let url = format!("http://{}", event["address"].as_str().expect("an address"));
        Server { process, url, client: client() }
    }

    /// Starts a command and waits until it logs `message`. Gives that line too.
    pub(crate) async fn start(&self, command: &str, variables: &[(&str, String)], message: &str) -> (Process, Value) {
        let mut program = self.program();
        program.args(command.split(' ')).envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child = program.stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let mut seen = Vec::new();
        let event = loop {
            let line = lines.next_line().await.expect("readable").unwrap_or_else(|| panic!("it ended: {seen:#?}"));
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["message"] == message {
                break event;
            }
            seen.push(line);
        };
        // The pipe must be read, or the program stops when it is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        (Process(child), event)
    }

    /// Starts a command that keeps what it logs, and waits until it logs `message`.
    pub(crate) async fn start_logged(
        &self,
        command: &str,
        variables: &[(&str, String)],
        message: &str,
    ) -> (Process, Log) {
        let (file, path) = tempfile::NamedTempFile::new_in(self.folder.path()).expect("a file").keep().expect("kept");
        let mut program = self.program();
        program.arg(command).envs(variables.iter().map(|(name, value)| (name, value)));
        let child = program.stderr(Stdio::from(file)).spawn().expect("the program starts");
        let log = Log(path);
        log.line(message).await;
        (Process(child), log)
    }

    /// How often the model was asked to generate.
    pub(crate) fn generations(&self) -> usize {
        self.claude.ledger().iter().filter(|exchange| exchange.path == "/v1/messages").count()
    }
}

/// What a process logs, as JSON.
pub(crate) struct Log(std::path::PathBuf);

impl Log {
    /// All lines so far; each must be a JSON object.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).expect("readable");
        // The last line may not be written to its end yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }

    /// The first line with this message, as soon as it is there.
    pub(crate) async fn line(&self, message: &str) -> Value {
        let found = async {
            loop {
                if let Some(line) = self.lines().into_iter().find(|line| line["message"] == message) {
                    return line;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("`{message}` is not logged: {:#?}", self.lines()))
    }
}

/// A running process that serves the API.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
}

impl Server {
    /// Submits the seed's body and gives the job.
    pub(crate) async fn submit(&self, repo_url: &str) -> Value {
        let body = json!({"repoUrl": repo_url, "prompt": "It says Helo. Make it say Hello."});
        let response = self.client.post(format!("{}/analyze/", self.url)).json(&body).send().await.expect("an answer");
        assert_eq!(response.status(), 202);
        response.json().await.expect("JSON")
    }

    pub(crate) async fn job(&self, id: &Value) -> Value {
        let url = format!("{}/jobs/{}", self.url, id.as_str().expect("an id"));
        self.client.get(url).send().await.expect("an answer").json().await.expect("JSON")
    }

    /// Polls until the job has ended.
    pub(crate) async fn wait(&self, id: &Value) -> Value {
        let polls = async {
            loop {
                let job = self.job(id).await;
                if ["succeeded", "failed", "canceled"].iter().any(|status| job["status"] == *status) {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, polls).await.expect("the job ends")
    }

    /// `kill -9`.
    pub(crate) async fn kill(self) {
        self.process.kill().await;
    }

    /// SIGTERM, and the wait for the end.
    pub(crate) async fn terminate(self) {
        self.process.terminate().await;
    }
}

/// A running process, killed when dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Its id, while it runs.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id().expect("running")
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.0.kill().await.expect("killed");
    }

    /// SIGTERM, and the wait for the end.
    pub(crate) async fn terminate(mut self) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
        assert!(sent.success());
        let status = tokio::time::timeout(PATIENCE, self.0.wait()).await.expect("it ends").expect("waited");
        assert!(status.success(), "{status}");
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// A model that fixes the greeting.
pub(crate) fn diligent(request: &RequestView) -> Reply {
    let text = request.first_text();
    if text.contains("This is the analysis pass") {
        return Reply::tool(
            "submit_plan",
            json!({
                "summary": "The greeting lacks a letter.",
                "files": [{"path": "greet.sh", "action": "edit", "new_path": "", "why": "spell it right"}],
                "context_files": [], "acceptance": ["greet.sh prints Hello"], "risks": [],
                "evidence": [{"path": "greet.sh", "quote": "echo \"Helo, $1\""}],
            }),
        );
    }
    if text.contains("This is the edit pass") {
        let edit = json!({"file_path": "greet.sh", "old_string": "Helo", "new_string": "Hello", "replace_all": false});
        let end = json!({"summary": "Spells Hello right.", "commit_message": "Spell Hello right"});
        return Reply::tools([("Edit", edit), ("submit_edits", end)]);
    }
    Reply::tool("submit_review", json!({"verdict": "approve", "findings": [], "unmet_acceptance": []}))
}

/// Applies a diff to a fresh clone with the real Git and gives the clone.
pub(crate) async fn apply(repo_url: &str, diff: &[u8], folder: &Path) -> std::path::PathBuf {
    let clone = folder.join("clone");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").args(arguments);
        git
    };
    let target = clone.to_str().expect("a path");
    assert!(git(&["clone", "--quiet", repo_url, target]).status().await.expect("git runs").success());
    let patch = folder.join("patch.diff");
    std::fs::write(&patch, diff).expect("written");
    let patch = patch.to_str().expect("a path");
    assert!(git(&["-C", target, "apply", patch]).status().await.expect("git runs").success());
    clone
}
