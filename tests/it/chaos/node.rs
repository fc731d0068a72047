//! One process of the program, with taps on its ways to Postgres, to Redis and to the model.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::tap::{Aim, Tap};

/// Longest wait for a start or an end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running process, killed when dropped.
pub(crate) struct Node {
    pub(crate) child: Child,
    pub(crate) aim: Arc<Aim>,
    /// What it calls itself, if it is a worker.
    pub(crate) worker: Option<String>,
    /// Where it listens, if it is an API.
    pub(crate) url: Option<String>,
    pub(crate) concurrency: usize,
    pub(crate) log: PathBuf,
    /// Its ways out.
    pub(crate) postgres: Tap,
    pub(crate) redis: Tap,
    pub(crate) model: Tap,
}

impl Node {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends a signal, such as `-STOP`.
    pub(crate) async fn signal(&self, signal: &str) {
        send(signal, self.pid()).await;
    }

    /// Waits for the end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it does not end: {}", self.tail())).expect("waited")
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("waited").is_some()
    }

    /// SIGTERM, and the wait for an end without an error.
    pub(crate) async fn terminate(mut self) {
        self.signal("-TERM").await;
        let status = self.ended().await;
        assert!(status.success(), "{status}: {}", self.tail());
    }

    /// Waits until it has logged `message`. Gives that line.
    pub(crate) async fn logged(&mut self, message: &str) -> Value {
        let line = async {
            loop {
                if let Some(line) = lines(&self.log).find(|line| line["message"] == message) {
                    return Some(line);
                }
                if self.child.try_wait().expect("waited").is_some() {
                    return None;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        let line = timeout(PATIENCE, line).await.ok().flatten();
        line.unwrap_or_else(|| panic!("it never said `{message}`: {}", self.tail()))
    }

    /// Open files, children, and resident memory in KiB (`proc(5)`).
    pub(crate) fn usage(&self) -> Usage {
        let folder = PathBuf::from(format!("/proc/{}", self.pid()));
        let entries = |name: &str| fs::read_dir(folder.join(name)).map(Iterator::count).unwrap_or_default();
        let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let children = fs::read_to_string(folder.join(format!("task/{}/children", self.pid()))).unwrap_or_default();
        Usage {
            files: entries("fd"),
            children: children.split_whitespace().count(),
            memory_kib: resident.and_then(|kib| kib.parse().ok()).unwrap_or_default(),
        }
    }

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// What a process has of the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) files: usize,
    pub(crate) children: usize,
    pub(crate) memory_kib: usize,
}

/// Starts a program with its log in a file.
pub(crate) fn spawn(mut command: Command, log: &Path) -> Child {
    let file = File::create(log).expect("a log");
    command.stderr(file).kill_on_drop(true).spawn().expect("the program starts")
}

/// Sends a signal to a process that may have ended.
pub(crate) async fn send(signal: &str, pid: u32) {
    let mut kill = Command::new("kill");
    let _ended = kill.args([signal, &pid.to_string()]).stderr(std::process::Stdio::null()).status().await;
}

fn lines(log: &Path) -> impl Iterator<Item = Value> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    lines.into_iter()
}
