//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use domain::{Cost, Effort, GitRef, KeyId, KeyScope, RepoUrl};

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
    /// Ask the API of this machine whether it is ready: exit code 0 or 1, for health checks.
    Health,
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

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key and print it on stdout. It is shown this once.
    Create(CreateKeyArgs),
    /// Print all keys, without their secrets.
    List {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Withdraw a key for good. Servers notice within a second.
    Revoke {
        /// Its id, as `list` prints it.
        id: KeyId,
    },
}

/// Arguments of `keys create`. Limits that are not given are the server's; 0 is no bound.
#[derive(Debug, Args)]
pub(crate) struct CreateKeyArgs {
    /// What the key is for.
    #[arg(long)]
    pub(crate) name: String,
    /// Whose jobs the key reaches. Keys may share an owner; without one, the key's jobs are nobody else's.
    #[arg(long)]
    pub(crate) owner: Option<String>,
    /// What the key may do: jobs:read, jobs:write, webhooks:write, admin. Repeat it for several; everything but admin
    /// when absent.
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<KeyScope>,
    /// How long the key lives, such as 12h, 90d or 2w. Until it is revoked when absent.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) expires_in: Option<Duration>,
    /// Requests for work (new jobs, retries) a minute.
    #[arg(long, value_name = "COUNT")]
    pub(crate) creations_per_minute: Option<u32>,
    /// All other requests a minute.
    #[arg(long, value_name = "COUNT")]
    pub(crate) requests_per_minute: Option<u32>,
    /// Jobs of the owner that may wait for a worker.
    #[arg(long, value_name = "COUNT")]
    pub(crate) queued_jobs: Option<u64>,
    /// New jobs of the owner on one day (UTC).
    #[arg(long, value_name = "COUNT")]
    pub(crate) jobs_per_day: Option<u64>,
    /// What the owner's jobs may have cost on one day (UTC) when another one is asked for, in US dollars.
    #[arg(long, value_name = "USD")]
    pub(crate) usd_per_day: Option<Cost>,
}

/// Reads a whole number with a unit.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let error = || format!("`{text}` is not a time: write a whole number and s, m, h, d or w, such as 90d");
    let unit = text.chars().last().ok_or_else(error)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(error()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| error())?;
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(error)
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
    fn times_have_a_unit() {
        let seconds = |text: &str| parse_duration(text).map(|time| time.as_secs()).ok();
        assert_eq!([seconds("90d"), seconds("12h"), seconds("1s")], [Some(7_776_000), Some(43_200), Some(1)]);
        for bad in ["", "d", "90", "-1d", "1.5h", "1 d", "1y", "9é", "99999999999999999w"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
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
