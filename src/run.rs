//! `tinygen run`: one change, without a server. The diff goes to stdout and nothing else does.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use api::wire::{ResultBody, UsageBody};
use domain::{Cost, Failure, FailureCode, JobResult, JobSpec, Outcome, TokenUsage};
use pipeline::MemoryJournal;
use serde_json::json;
use tracing::{Instrument, info_span};

use crate::cli::RunArgs;
use crate::config::Config;
use crate::progress::Display;
use crate::wiring;

/// There is no diff because none is needed.
const NO_CHANGE_NEEDED: u8 = 3;
/// What shells give for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Runs one job to its end.
///
/// # Errors
/// When the job cannot begin, or stdout cannot be written. A job that fails is told on stderr and in the exit code.
pub(crate) async fn run(config: &Config, args: RunArgs) -> anyhow::Result<ExitCode> {
    let pipeline = wiring::pipeline(config, &wiring::egress(config)?, &std::env::temp_dir())?;
    let is_json = args.json;
    let spec = JobSpec {
        git_ref: args.git_ref,
        model: args.model,
        effort: args.effort,
        max_cost: args.max_cost_usd,
        ..JobSpec::new(args.repo_url, args.prompt)
    };
    let display = Display::new();
    let work = pipeline.run(&spec, Arc::new(MemoryJournal::default()), display.callback());
    let work = work.instrument(info_span!("run"));
    let outcome = tokio::select! {
        outcome = work => outcome,
        _ = tokio::signal::ctrl_c() => {
            display.finish();
            eprintln!("interrupted");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    let (usage, cost) = display.finish();
    match outcome {
        Ok(result) => succeed(&result, usage, cost, is_json),
        Err(error) => fail(&error.failure(), usage, cost, is_json),
    }
}

fn succeed(result: &JobResult, usage: TokenUsage, cost: Cost, is_json: bool) -> anyhow::Result<ExitCode> {
    if is_json {
        let body = ResultBody::from_result(result, &result.diff);
        print(format!("{:#}\n", json!({"result": body, "usage": UsageBody::new(usage, cost)})).as_bytes())?;
    } else {
        print_diff(&result.diff)?;
    }
    for flag in &result.flags {
        let line = flag.line.map(|line| format!(":{line}")).unwrap_or_default();
        eprintln!("look at {}{line} ({}): {}", flag.path, flag.kind, flag.note);
    }
    eprintln!("{}", result.summary);
    match result.outcome {
        Outcome::Changed => {
            let verified = if result.verified { "verified" } else { "NOT verified by the review" };
            let base = result.receipt.base_commit.as_str();
            let files =
                if result.files.len() == 1 { "1 file".to_owned() } else { format!("{} files", result.files.len()) };
            eprintln!("{files} changed on {base:.12}, {verified}, {cost}");
            Ok(ExitCode::SUCCESS)
        }
        Outcome::NoChangeNeeded => {
            eprintln!("no change needed, {cost}");
            Ok(ExitCode::from(NO_CHANGE_NEEDED))
        }
    }
}

fn fail(failure: &Failure, usage: TokenUsage, cost: Cost, is_json: bool) -> anyhow::Result<ExitCode> {
    if is_json {
        let error = json!({"code": failure.code, "detail": failure.message, "retryable": failure.code.is_retryable()});
        print(format!("{:#}\n", json!({"error": error, "usage": UsageBody::new(usage, cost)})).as_bytes())?;
    }
    let hint = if failure.code == FailureCode::BlockedAddress { wiring::HOW_TO_ALLOW } else { "" };
    eprintln!("failed: {failure}{hint} ({cost} spent)");
    Ok(ExitCode::FAILURE)
}

/// Prints the diff byte for byte; on a terminal without the control characters that a hostile file could steer it with.
fn print_diff(diff: &[u8]) -> anyhow::Result<()> {
    if !std::io::stdout().is_terminal() {
        return print(diff);
    }
    let is_harmless = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    print(String::from_utf8_lossy(diff).chars().filter(is_harmless).collect::<String>().as_bytes())
}

fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).context("cannot write to stdout")
}
