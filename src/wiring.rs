//! From the configuration to the parts: the one place that knows how they fit together.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use api::{ApiState, Origin, WorkerHealth};
use egress::{Egress, EgressPolicy};
use exposition::Exposition;
use jobs::{Jobs, Limits, Policy, Quota, StoreError};
use pipeline::llm::{Anthropic, AnthropicConfig, Credentials};
use pipeline::repo::{FetchLimits, Fetcher, HostTokens};
use pipeline::{Pipeline, PipelineConfig};
use secrecy::SecretString;
use tokio::time::sleep;
use tracing::warn;
use worker::Vitals;

use crate::config::Config;

/// Between two tries to reach the database at the start.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// What to do about an address that is refused.
pub(crate) const HOW_TO_ALLOW: &str = " (for a host of your own, set TINYGEN_EGRESS_ALLOW to its network, and \
                                        TINYGEN_ALLOW_PLAIN_HTTP=1 if it has no https)";

/// The way out, with the networks that the configuration opens.
///
/// # Errors
/// When a network does not read, or TLS cannot be set up.
pub(crate) fn egress(config: &Config) -> anyhow::Result<Egress> {
    let networks = config.egress_allow.iter().map(|text| {
        text.parse().with_context(|| format!("`{text}` in TINYGEN_EGRESS_ALLOW is not a network such as 10.0.0.0/8"))
    });
    let policy = EgressPolicy {
        allow_networks: networks.collect::<anyhow::Result<_>>()?,
        allow_plain_http: config.allow_plain_http,
        ..EgressPolicy::default()
    };
    Ok(Egress::new(policy)?)
}

/// The pipeline: Claude behind the configured endpoint, repositories through the same way out, kept in `folder` while a
/// job works on them.
///
/// # Errors
/// When there is no key, or a setting does not read.
pub(crate) fn pipeline(config: &Config, egress: &Egress, folder: &Path) -> anyhow::Result<Pipeline> {
    if config.anthropic_api_key.is_empty() && config.anthropic_auth_token.is_empty() {
        bail!(
            "ANTHROPIC_API_KEY is not set: put ANTHROPIC_API_KEY=<your key> into the environment or a .env file (keys: \
             https://platform.claude.com), or try `tinygen demo`, which needs none"
        );
    }
    let anthropic = anthropic(config)?;
    egress.check(&anthropic.base_url).with_context(|| format!("ANTHROPIC_BASE_URL is refused{HOW_TO_ALLOW}"))?;
    let model = Anthropic::new(egress.clone(), anthropic)?;
    let limits = FetchLimits {
        max_bytes: config.max_fetch_bytes,
        deadline: Duration::from_secs(config.fetch_timeout_seconds),
        ..FetchLimits::default()
    };
    let mut tokens = HostTokens::new();
    for (host, token) in config.repo_tokens()? {
        tokens.insert(&host, token.into()).context("TINYGEN_REPO_TOKENS does not read")?;
    }
    let fetcher = Fetcher::new(egress.clone(), limits, tokens).in_folder(folder);
    let pipeline_config = PipelineConfig {
        model: config.model.clone(),
        max_output_tokens: config.max_output_tokens,
        max_sheet_tokens: config.max_sheet_tokens,
        ..PipelineConfig::default()
    };
    Ok(Pipeline::new(Arc::new(model), fetcher, pipeline_config))
}

fn anthropic(config: &Config) -> anyhow::Result<AnthropicConfig> {
    let base_url = config.anthropic_base_url.parse().context("ANTHROPIC_BASE_URL is not a URL")?;
    let secret = |text: &String| Some(SecretString::from(text.clone()));
    Ok(AnthropicConfig {
        credentials: Credentials::choose(secret(&config.anthropic_api_key), secret(&config.anthropic_auth_token)),
        custom_headers: secret(&config.anthropic_custom_headers),
        ..AnthropicConfig::new(base_url)
    })
}

/// The API over these jobs, which shows what this process counts from now on.
///
/// # Errors
/// When a setting does not read.
pub(crate) fn api(config: &Config, jobs: &Jobs, egress: &Egress) -> anyhow::Result<ApiState> {
    let origins: Result<Vec<Origin>, _> = config.cors_origins.iter().map(|text| text.parse()).collect();
    let origins = origins.context("TINYGEN_CORS_ORIGINS does not read")?;
    let counted = Exposition::install();
    let state = ApiState::new(jobs.clone(), egress.clone()).with_limits(limits(config)).with_origins(origins);
    let state = state.with_metrics(move || counted.to_string());
    let is_for_this_machine = config.listen.ip().to_canonical().is_loopback() && !config.no_auth;
    Ok(if is_for_this_machine { state.for_this_machine() } else { state })
}

/// What a worker shows of itself, as the API tells it.
pub(crate) fn health_of(worker: &Vitals) -> WorkerHealth {
    WorkerHealth { stalled: worker.stalled(), is_refused_by_model: worker.is_refused_by_model() }
}

/// What a key may do that has no limits of its own.
fn limits(config: &Config) -> Limits {
    Limits {
        creations_per_minute: config.max_creations_per_minute,
        requests_per_minute: config.max_requests_per_minute,
        quota: Quota {
            queued_jobs: config.max_queued_jobs,
            running_jobs: config.max_running_jobs,
            jobs_per_day: config.max_jobs_per_day,
            cost_per_day: config.max_usd_per_day,
        },
    }
}

/// The job store.
///
/// # Errors
/// When the data directory cannot be made or the database cannot be opened.
pub(crate) async fn jobs(config: &Config) -> anyhow::Result<Jobs> {
    if config.database_url.is_empty() {
        let folder = &config.data_dir;
        // It will hold prompts and source code: nobody else's business.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let jobs = Jobs::open(&config.database_url()).await.context("cannot open the database")?;
    let max_waiting_jobs = if config.max_waiting_jobs == 0 { u64::MAX } else { config.max_waiting_jobs };
    let policy = Policy { max_waiting_jobs, retention: config.retention(), ..Policy::default() };
    let jobs = jobs.with_policy(policy);
    if config.redis_url.is_empty() {
        return Ok(jobs);
    }
    jobs.with_redis(&config.redis_url).context("REDIS_URL is refused")
}

/// The job store of a process that shares it with others, which may start before the database does.
///
/// # Errors
/// When the configuration names nothing that can be shared, or the tables are not those of this version.
pub(crate) async fn shared_jobs(config: &Config) -> anyhow::Result<Jobs> {
    let is_postgres = ["postgres:", "postgresql:"].iter().any(|scheme| config.database_url.starts_with(scheme));
    if !is_postgres || config.redis_url.is_empty() {
        bail!(
            "`api` and `worker` need a database and a queue that they share: set DATABASE_URL=postgres://… and \
             REDIS_URL=redis://…, or use `tinygen serve`, which is both in one process and needs neither"
        );
    }
    loop {
        match migrated_jobs(config).await {
            Err(error) if is_passing(&error) => {
                warn!(error = format!("{error:#}"), "The database does not answer; trying again");
                sleep(PAUSE_AFTER_ERROR).await;
            }
            outcome => return outcome,
        }
    }
}

async fn migrated_jobs(config: &Config) -> anyhow::Result<Jobs> {
    let jobs = jobs(config).await?;
    if !jobs.is_migrated().await? {
        bail!("the database is not at this version: run `tinygen migrate` first");
    }
    Ok(jobs)
}

fn is_passing(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Unavailable(_)))
}
