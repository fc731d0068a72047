//! What the benches share: the program and the world around it, databases in both modes, processes looked at from outside,
//! figures and tables.
//!
//! `make bench` runs them beside a private Postgres and Redis; without these only what needs neither is measured.

use std::time::Duration;

use domain::{CommitId, JobResult, JobSpec, Outcome, Receipt, RepoUrl};

#[path = "../../tests/it/app.rs"]
pub(crate) mod app;
pub(crate) mod database;
pub(crate) mod http;
pub(crate) mod process;
pub(crate) mod service;

/// A job that asks for nothing in particular.
pub(crate) fn spec() -> JobSpec {
    spec_for("https://example.com/a/b.git")
}

/// A job on this repository.
pub(crate) fn spec_for(repo_url: &str) -> JobSpec {
    JobSpec::new(RepoUrl::parse(repo_url).expect("a URL"), "It says Helo. Make it say Hello.")
}

/// What such a job makes.
pub(crate) fn result() -> JobResult {
    JobResult {
        outcome: Outcome::Changed,
        diff: vec![b'+'; 4 << 10],
        receipt: Receipt {
            base_commit: CommitId::parse(&"a".repeat(40)).expect("an id"),
            base_tree: "b".repeat(40),
            result_tree: "c".repeat(40),
            patch_sha256: "d".repeat(64),
        },
        files: vec![],
        summary: "Adds the flag.".to_owned(),
        suggested_commit_message: "Add the flag".to_owned(),
        flags: vec![],
        verified: true,
    }
}

/// The value that so many of a hundred are not above.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// The middle one.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    percentile(&times, 50)
}

/// For reading.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}

/// Prints a table in Markdown, under the machine's load: a figure from a busy machine is none.
pub(crate) fn print_table(title: &str, header: &[&str], rows: &[Vec<String>]) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let build = if cfg!(debug_assertions) { ", debug build" } else { "" };
    println!("\n{title} (load {}{build})\n", load.split(' ').next().unwrap_or_default());
    println!("| {} |", header.join(" | "));
    println!("|{}", "---|".repeat(header.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}
