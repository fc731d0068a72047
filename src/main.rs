//! tinygen: a Git repository and a prompt in, a unified diff out.
//!
//! This binary reads the command line and the configuration and starts what was asked for. How a job goes is told by
//! `docs/ARCHITECTURE.md`.

mod cli;
mod config;
mod demo;
mod health;
mod keys;
mod progress;
mod run;
mod serve;
mod telemetry;
mod wiring;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::runtime::Runtime;

use crate::cli::{Cli, Command};
use crate::config::{Config, DEFAULTS};
use crate::telemetry::Telemetry;

/// How long work on threads that block, such as a name lookup, may hold the end up. Nobody waits for its outcome any more.
const LONGEST_BLOCKING: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run_to_end(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_to_end(command: Command) -> anyhow::Result<ExitCode> {
    match &command {
        Command::Config => print!("{DEFAULTS}"),
        Command::Openapi => print!("{}", api::description()),
        _ => return run_configured(command),
    }
    Ok(ExitCode::SUCCESS)
}

fn run_configured(command: Command) -> anyhow::Result<ExitCode> {
    let mut config = Config::load()?;
    if let Command::Serve(args) | Command::Api(args) = &command {
        config.no_auth |= args.no_auth;
    }
    // Progress lines tell the story of a single run; logs would only repeat it.
    let is_interactive = matches!(command, Command::Run(_) | Command::Demo(_));
    let filter = if is_interactive && config.log == "info" { "error" } else { &config.log };
    let telemetry = Telemetry::start(&config, filter)?;
    let runtime = Runtime::new().context("cannot start the threads")?;
    // On the runtime's own threads, which look at the network by themselves: this one would have to be woken by them.
    let outcome = runtime.block_on(runtime.spawn(async move { start(command, &config).await }));
    runtime.shutdown_timeout(LONGEST_BLOCKING);
    telemetry.stop();
    outcome.unwrap_or_else(|stopped| std::panic::resume_unwind(stopped.into_panic()))
}

async fn start(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(config, args).await,
        Command::Serve(_) => serve::serve(config).await.map(|()| ExitCode::SUCCESS),
        Command::Api(_) => serve::serve_api(config).await.map(|()| ExitCode::SUCCESS),
        Command::Worker => serve::work(config).await.map(|()| ExitCode::SUCCESS),
        Command::Demo(args) => demo::demo(args).await,
        Command::Migrate => {
            wiring::jobs(config).await?.migrate().await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Keys(command) => keys::keys(config, command).await.map(|()| ExitCode::SUCCESS),
        Command::Health(args) => health::health(config, args.role).await.map(|()| ExitCode::SUCCESS),
        Command::Config | Command::Openapi => Ok(ExitCode::SUCCESS),
    }
}
