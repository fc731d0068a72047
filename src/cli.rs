//! The command line.

mod keys;

use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::{Cost, Effort, GitRef, RepoUrl};

pub(crate) use keys::{CreateKeyArgs, KeysCommand};

/// Git repository and a prompt in, unified diff out.
#[derive(Debug, Parser)]
#[command(name = "tinygen", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done (of `run`: there is a diff), 1 failed, 2 bad usage, 3 no change needed (`run` only), 130 interrupted.
Configuration: `tinygen config` prints every setting with its default and its environment variable.";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make one change and print the diff on stdout, progress on stderr.
    Run(RunArgs),
    /// Serve the HTTP API and work on jobs, in one process.
    Serve(ServeArgs),
    /// Serve the HTTP API alone: needs `DATABASE_URL=postgres://…`, `REDIS_URL`, and a `tinygen worker` somewhere.
    Api(ServeArgs),
    /// Work on jobs alone: needs the same `DATABASE_URL` and `REDIS_URL` as the API.
    Worker,
    /// Show the whole service at work on a sample repository: no key, no network.
    Demo(DemoArgs),
    /// Bring the database to this version.
    Migrate,
    /// Make, list and revoke API keys, in the database itself: no server needs to run.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Ask the API of this machine, or its worker, whether it is ready: exit code 0 or 1, for health checks.
    Health(HealthArgs),
    /// Print the description of the HTTP API, as it is served at `/openapi.json`.
    Openapi,
    /// Print every setting with its default and its environment variable.
    Config,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The repository: the address that its host gives for cloning over https.
    #[arg(value_name = "REPO_URL", value_parser = RepoUrl::parse)]
    pub(crate) repo_url: RepoUrl,
    /// What should change.
    pub(crate) prompt: String,
    /// Branch, tag or full commit id instead of the default branch.
    #[arg(long = "ref", value_name = "REF", value_parser = GitRef::parse)]
    pub(crate) git_ref: Option<GitRef>,
    /// Claude model instead of the configured one.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// How hard the model works: low, medium, high, xhigh or max.
    #[arg(long)]
    pub(crate) effort: Option<Effort>,
    /// The most that the run may cost, in US dollars.
    #[arg(long, value_name = "USD")]
    pub(crate) max_cost_usd: Option<Cost>,
    /// Print the whole result as JSON (diff, receipt, usage) instead of the diff.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `serve` and `api`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Serve without API keys, until the first one is made, also on an address that others reach.
    #[arg(long)]
    pub(crate) no_auth: bool,
}

/// Arguments of `health`.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// Who is asked.
    #[arg(value_enum, default_value_t = Role::Api)]
    pub(crate) role: Role,
}

/// A process that answers health checks.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// The one at `TINYGEN_LISTEN`.
    Api,
    /// The one at `TINYGEN_WORKER_LISTEN`.
    Worker,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Record new answers: write each unknown request to this folder and wait for its answer there.
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) record: Option<std::path::PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bad_values_are_refused_with_the_reason() {
        let error = |args: &[&str]| {
            Cli::try_parse_from([&["tinygen", "run"], args].concat()).expect_err("bad usage").to_string()
        };
        assert!(error(&["git@github.com:a/b", "x"]).contains("https://"));
        assert!(error(&["https://github.com/a/b", "x", "--ref", "HEAD~1"]).contains("not a branch"));
        assert!(error(&["https://github.com/a/b", "x", "--max-cost-usd", "cheap"]).contains("US dollars"));
        assert!(error(&["https://github.com/a/b", "x", "--effort", "hard"]).contains("low, medium"));
    }
}
