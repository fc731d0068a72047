//! `tinygen keys`: makes, lists and revokes API keys in the database, for whoever may open that.

use anyhow::{Context, anyhow, bail};
use api::wire::{KeyBody, Timestamp};
use domain::{KeyId, KeyScope};
use jobs::{Jobs, KeyDraft, KeyDraftError, LimitOverrides, NewKey};

use crate::cli::{CreateKeyArgs, KeysCommand};
use crate::config::Config;
use crate::wiring;

/// Does what was asked for.
///
/// # Errors
/// When the database cannot be opened, or what was asked for cannot be.
pub(crate) async fn keys(config: &Config, command: KeysCommand) -> anyhow::Result<()> {
    let jobs = open(config).await?;
    match command {
        KeysCommand::Create(args) => create(&jobs, args).await,
        KeysCommand::List { json } => list(&jobs, json).await,
        KeysCommand::Revoke { id } => revoke(&jobs, id).await,
    }
}

/// A SQLite file is brought up to date, as `serve` would: the first key may come before the first start.
async fn open(config: &Config) -> anyhow::Result<Jobs> {
    let jobs = wiring::jobs(config).await?;
    if config.database_url().starts_with("sqlite:") {
        jobs.migrate().await?;
    } else if !jobs.is_migrated().await? {
        bail!("the database is not at this version: run `tinygen migrate` first");
    }
    Ok(jobs)
}

/// Prints the key alone on stdout, so that a script can take it.
async fn create(jobs: &Jobs, args: CreateKeyArgs) -> anyhow::Result<()> {
    let is_first = !jobs.has_keys().await?;
    let (key, token) = jobs.create_key(read(args)?).await?;
    println!("{}", token.expose());
    eprintln!("key {} of owner {} with {}: keep it, it is not shown again", key.id, key.owner, names(&key.scopes));
    if is_first {
        eprintln!("it is the first key: from now on, every request needs one");
    }
    Ok(())
}

fn read(args: CreateKeyArgs) -> anyhow::Result<NewKey> {
    let draft = KeyDraft {
        name: args.name,
        owner: args.owner,
        scopes: if args.scopes.is_empty() { KeyScope::DEFAULT.to_vec() } else { args.scopes },
        limits: LimitOverrides {
            creations_per_minute: args.creations_per_minute,
            requests_per_minute: args.requests_per_minute,
            queued_jobs: args.queued_jobs,
            running_jobs: args.running_jobs,
            jobs_per_day: args.jobs_per_day,
            cost_per_day: args.usd_per_day,
        },
        lifetime: args.expires_in,
    };
    NewKey::try_from(draft).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(KeyDraftError::to_string).collect();
        anyhow!("{}", texts.join("; "))
    })
}

async fn list(jobs: &Jobs, json: bool) -> anyhow::Result<()> {
    let keys = jobs.keys().await?;
    if json {
        let bodies: Vec<KeyBody> = keys.into_iter().map(KeyBody::from).collect();
        println!("{}", serde_json::to_string_pretty(&bodies).context("cannot write JSON")?);
        return Ok(());
    }
    if keys.is_empty() {
        eprintln!("there are no keys: `tinygen keys create --name <what for>` makes one");
        return Ok(());
    }
    let rows = keys.into_iter().map(|key| row(key.into()));
    let header = ["ID", "NAME", "OWNER", "SCOPES", "CREATED", "LAST USED", "EXPIRES", "REVOKED"].map(str::to_owned);
    let rows: Vec<[String; 8]> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 8] = std::array::from_fn(width);
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
    Ok(())
}

fn row(key: KeyBody) -> [String; 8] {
    // To the second: 2026-09-04T12:30:00Z.
    let second = |time: Timestamp| format!("{}Z", time.to_string().split('.').next().unwrap_or_default());
    let or_dash = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), second);
    [
        key.id,
        key.name,
        key.owner,
        names(&key.scopes),
        second(key.created_at),
        or_dash(key.last_used_at),
        or_dash(key.expires_at),
        or_dash(key.revoked_at),
    ]
}

fn names(scopes: &[KeyScope]) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",")
}

async fn revoke(jobs: &Jobs, id: KeyId) -> anyhow::Result<()> {
    if !jobs.revoke_key(id).await? {
        bail!("there is no key {id}: `tinygen keys list` shows which there are");
    }
    eprintln!("key {id} is revoked; servers refuse it within a second");
    Ok(())
}
