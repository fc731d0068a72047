//! What the demo prints, and the small HTTP client it uses, which does what a user's curl would.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use egress::{Egress, Purpose};
use reqwest::{Method, Request, StatusCode};
use serde_json::{Value, json};

const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Ends a watch that nothing else would end.
const MAX_POLLS: usize = 6_000;

pub(crate) fn introduction(server: &str) {
    println!(
        "tinygen demo. The repository is a small till program that ships with tinygen, served by Git over HTTP on this machine."
    );
    println!(
        "The model's answers are a RECORDING of what a Claude model said to exactly these requests: no key, no network, no cost."
    );
    println!("Everything else is real: API, queue, worker, fetch, requests and streams, edits, diff.");
    println!("\nThe service listens on {server}");
}

/// A client of the service that runs beside it.
pub(crate) struct Client {
    egress: Egress,
    server: String,
}

impl Client {
    pub(crate) fn new(egress: Egress, server: String) -> Self {
        Self { egress, server }
    }

    /// Submits a job and gives its path.
    ///
    /// # Errors
    /// When the service does not accept it.
    pub(crate) async fn submit(&self, repo_url: &str, prompt: &str) -> anyhow::Result<String> {
        let body = json!({"repoUrl": repo_url, "prompt": prompt});
        println!("\n$ curl -X POST {}/analyze/ -H 'Content-Type: application/json' -d '{body}'", self.server);
        let mut request = self.request(Method::POST, "/analyze/")?;
        request.headers_mut().insert("content-type", "application/json".parse()?);
        *request.body_mut() = Some(body.to_string().into());
        let response = self.egress.send(request, Purpose::Webhook).await?;
        let (status, job) = (response.status(), response.json::<Value>().await?);
        if status != StatusCode::ACCEPTED {
            bail!("the service answered {status}: {job}");
        }
        println!("  {status}: job {} is {}", job["id"], job["status"]);
        Ok(format!("/jobs/{}", job["id"].as_str().context("the job has no id")?))
    }

    /// Polls the job until it has ended, and shows each stage as it ends.
    ///
    /// # Errors
    /// When the service stops answering.
    pub(crate) async fn watch(&self, job: &str) -> anyhow::Result<Value> {
        println!("\n$ curl {}{job}   (again and again)", self.server);
        let mut shown = 0;
        for _ in 0..MAX_POLLS {
            let body: Value = self.get(job).await?.json().await?;
            let stages = body["stages"].as_array().map(Vec::as_slice).unwrap_or_default();
            let finished = stages.iter().filter(|stage| !stage["finishedAt"].is_null());
            for stage in finished.skip(shown) {
                show_stage(stage);
                shown += 1;
            }
            if ["succeeded", "failed", "canceled"].iter().any(|status| body["status"] == *status) {
                return Ok(body);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        bail!("the job did not end")
    }

    /// The job's diff.
    ///
    /// # Errors
    /// When the service does not have it.
    pub(crate) async fn diff(&self, job: &str) -> anyhow::Result<Vec<u8>> {
        println!("\n$ curl {}{job}/diff", self.server);
        Ok(self.get(&format!("{job}/diff")).await?.bytes().await?.to_vec())
    }

    async fn get(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        Ok(self.egress.send(self.request(Method::GET, path)?, Purpose::Webhook).await?)
    }

    fn request(&self, method: Method, path: &str) -> anyhow::Result<Request> {
        Ok(Request::new(method, format!("{}{path}", self.server).parse()?))
    }
}

fn show_stage(stage: &Value) {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let usage = &stage["usage"];
    println!(
        "  {:<9} {:>6} ms  {:>7} bytes stored  {:>6} tokens in ({:>6} from the cache), {:>5} out, ${:.4}",
        stage["name"].as_str().unwrap_or_default(),
        number(&stage["durationMs"]),
        number(&stage["outputBytes"]),
        number(&usage["inputTokens"]) + number(&usage["cacheReadTokens"]) + number(&usage["cacheCreationTokens"]),
        number(&usage["cacheReadTokens"]),
        number(&usage["outputTokens"]),
        usage["costUsd"].as_f64().unwrap_or_default(),
    );
}

/// Prints the diff, in colour on a terminal.
///
/// # Errors
/// When stdout is gone.
pub(crate) fn diff(diff: &[u8]) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    let is_coloured = stdout.is_terminal();
    for line in diff.split_inclusive(|byte| *byte == b'\n') {
        let colour = match line.first() {
            Some(b'+') => "\u{1b}[32m",
            Some(b'-') => "\u{1b}[31m",
            Some(b'@') => "\u{1b}[36m",
            _ => "",
        };
        if is_coloured && !colour.is_empty() {
            stdout.write_all(colour.as_bytes())?;
            stdout.write_all(line)?;
            stdout.write_all(b"\x1b[0m")?;
        } else {
            stdout.write_all(line)?;
        }
    }
    Ok(stdout.flush()?)
}

pub(crate) fn failure(job: &Value) {
    println!("\nThe job is {}: {:#}", job["status"], job["error"]);
}

pub(crate) fn end(job: &Value, is_fixed: bool) {
    let result = &job["result"];
    println!("\nSummary: {}", result["summary"].as_str().unwrap_or_default());
    println!(
        "Verified by the review: {}. At list price this job would cost ${:.4} (token counts are estimates here).",
        result["verified"],
        job["usage"]["costUsd"].as_f64().unwrap_or_default()
    );
    if is_fixed {
        println!("\nThe sample's own tests failed before the diff and pass after it.");
    } else {
        println!("\nThe sample's own tests did not go from failing to passing.");
    }
    println!("\nWith a key it does this to any repository:");
    println!("  export ANTHROPIC_API_KEY=…");
    println!("  tinygen run https://github.com/owner/name \"what should change\" | git apply");
    println!("  tinygen serve");
}
