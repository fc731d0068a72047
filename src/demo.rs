//! `tinygen demo`: the real service on a sample repository, with recorded answers in place of Claude.
//!
//! Everything but the answers is real: the API, the queue, the worker, the fetch over HTTP, the requests to the Messages
//! API and its streams, the edits and the diff. The answers are what a Claude model said to exactly these requests; a
//! request that differs in one byte finds none and fails, which a test watches over.

mod scratch;
mod show;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jobs::Jobs;
use rust_embed::RustEmbed;
use standin::claude::{ClaudeServer, Recording};
use standin::git::GitServer;
use standin::repo::RepoBuilder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::DemoArgs;
use crate::config::Config;
use crate::serve::Service;
use crate::wiring;

/// The task that the demo gives.
const PROMPT: &str = "Some totals are a cent or more too low: three packs of gum at 0.29 come out as 0.84 instead of 0.87 on the \
                      receipt and in the report. Find out why and fix it wherever it happens.";

/// Longest wait for an answer while a recording is made.
const LONGEST_ANSWER: Duration = Duration::from_hours(1);

/// The repository that the demo changes: a small till program that loses cents.
#[derive(RustEmbed)]
#[folder = "demo/sample"]
struct Sample;

/// The answers, one file a request.
#[derive(RustEmbed)]
#[folder = "demo/recording"]
struct Answers;

/// Shows one job from the request to the tested diff.
///
/// # Errors
/// When a program that the demo needs is missing, or a part fails.
pub(crate) async fn demo(args: DemoArgs) -> anyhow::Result<ExitCode> {
    scratch::require_programs()?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let git = GitServer::start().await?;
    git.add("till", &sample())?;
    let claude = claude(args.record.as_deref()).await?;

    let config = config(folder.path(), claude.url())?;
    let jobs: Jobs = wiring::jobs(&config).await?;
    jobs.migrate().await?;
    let listener = TcpListener::bind(config.listen).await?;
    let egress = wiring::egress(&config)?;
    let pipeline = wiring::pipeline(&config, &egress, folder.path())?;
    let api = wiring::api(&config, &jobs, &egress)?;
    let service = Service { listener, api, jobs, egress: egress.clone(), pipeline, concurrency: 1 };
    let server = format!("http://{}", service.address()?);

    show::introduction(&server);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(service.run(shutdown.clone()));
    let client = show::Client::new(egress, server);
    let outcome = tell(&client, &git.url("till"), folder.path()).await;
    shutdown.cancel();
    running.await??;
    outcome
}

/// The story: submit, watch, print, apply, test.
async fn tell(client: &show::Client, repo_url: &str, folder: &Path) -> anyhow::Result<ExitCode> {
    let job = client.submit(repo_url, PROMPT).await?;
    let finished = client.watch(&job).await?;
    if finished["status"] != "succeeded" {
        show::failure(&finished);
        return Ok(ExitCode::FAILURE);
    }
    let diff = client.diff(&job).await?;
    show::diff(&diff)?;
    let is_fixed = scratch::try_out(repo_url, &diff, folder).await?;
    show::end(&finished, is_fixed);
    Ok(if is_fixed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The sample as a repository with one commit, whose id is the same everywhere.
fn sample() -> RepoBuilder {
    let files = Sample::iter().filter_map(|path| Sample::get(&path).map(|file| (path, file)));
    let builder = files.fold(RepoBuilder::new(), |builder, (path, file)| builder.file(&path, file.data));
    builder.commit("Add the till")
}

async fn claude(record: Option<&Path>) -> anyhow::Result<ClaudeServer> {
    if let Some(folder) = record {
        return Ok(ClaudeServer::record(folder, LONGEST_ANSWER).await?);
    }
    let answers = Answers::iter().filter_map(|name| {
        let file = Answers::get(&name)?;
        Some((name.into_owned(), String::from_utf8_lossy(&file.data).into_owned()))
    });
    Ok(ClaudeServer::replay(Arc::new(Recording::read(answers)?)).await?)
}

/// A configuration of its own: the demo neither reads nor touches the user's.
fn config(folder: &Path, claude_url: String) -> anyhow::Result<Config> {
    let mut config = Config::defaults()?;
    config.listen = ([127, 0, 0, 1], 0).into();
    config.data_dir = folder.join("data");
    config.egress_allow = vec!["127.0.0.0/8".to_owned()];
    config.allow_plain_http = true;
    "demo".clone_into(&mut config.anthropic_api_key);
    config.anthropic_base_url = claude_url;
    Ok(config)
}
