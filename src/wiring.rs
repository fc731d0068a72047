//! From the configuration to the parts: the one place that knows how they fit together.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use egress::{Egress, EgressPolicy};
use jobs::Jobs;
use pipeline::llm::{Anthropic, AnthropicConfig, Credentials};
use pipeline::repo::{FetchLimits, Fetcher, HostTokens};
use pipeline::{Pipeline, PipelineConfig};
use secrecy::SecretString;

use crate::config::Config;

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
    Jobs::open(&config.database_url()).await.context("cannot open the database")
}
