//! The command line of `tinygen keys`.

use std::time::Duration;

use clap::{Args, Subcommand};
use domain::{Cost, KeyId, KeyScope};

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
    /// What the key may do: jobs:read, jobs:write, webhooks:write, metrics:read, admin. Repeat it for several;
    /// everything but metrics:read and admin when absent.
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
    /// Jobs of the owner that may run at the same time; more of them wait.
    #[arg(long, value_name = "COUNT")]
    pub(crate) running_jobs: Option<u64>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        let seconds = |text: &str| parse_duration(text).map(|time| time.as_secs()).ok();
        assert_eq!([seconds("90d"), seconds("12h"), seconds("1s")], [Some(7_776_000), Some(43_200), Some(1)]);
        for bad in ["", "d", "90", "-1d", "1.5h", "1 d", "1y", "9é", "99999999999999999w"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
