//! Configuration: compiled-in defaults, then `tinygen.toml`, then the environment. Nothing else reads the environment.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use domain::Cost;
use serde::{Deserialize, Deserializer, de};
use toml::{Table, Value};

/// The commented defaults; also the documentation of every setting.
pub(crate) const DEFAULTS: &str = include_str!("default.toml");

/// Read when it is there.
const FILE: &str = "tinygen.toml";

/// Variables that have no `TINYGEN_` prefix because other programs use the same names.
const PLAIN_VARIABLES: [&str; 6] = [
    "anthropic_api_key",
    "anthropic_auth_token",
    "anthropic_base_url",
    "anthropic_custom_headers",
    "database_url",
    "redis_url",
];

/// Every setting. `default.toml` says what each means.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) no_auth: bool,
    #[serde(deserialize_with = "optional_address")]
    pub(crate) worker_listen: Option<SocketAddr>,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) data_dir: PathBuf,
    pub(crate) model: String,
    pub(crate) concurrency: usize,
    pub(crate) retention_days: u64,
    pub(crate) max_output_tokens: u32,
    pub(crate) max_sheet_tokens: u64,
    pub(crate) max_fetch_bytes: u64,
    pub(crate) fetch_timeout_seconds: u64,
    pub(crate) egress_allow: Vec<String>,
    pub(crate) allow_plain_http: bool,
    pub(crate) repo_tokens: String,
    pub(crate) max_creations_per_minute: u32,
    pub(crate) max_requests_per_minute: u32,
    pub(crate) max_queued_jobs: u64,
    pub(crate) max_running_jobs: u64,
    pub(crate) max_jobs_per_day: u64,
    #[serde(deserialize_with = "dollars")]
    pub(crate) max_usd_per_day: Cost,
    pub(crate) max_waiting_jobs: u64,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    pub(crate) anthropic_api_key: String,
    pub(crate) anthropic_auth_token: String,
    pub(crate) anthropic_base_url: String,
    pub(crate) anthropic_custom_headers: String,
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
    /// Set by the standard variables of OpenTelemetry alone, which its SDK reads by itself.
    #[serde(skip)]
    pub(crate) trace_export: TraceExport,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where traces go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum TraceExport {
    /// Nowhere: no collector is named, or traces are turned off.
    #[default]
    Off,
    /// Over HTTP to the collector that the SDK's variables name.
    Http {
        /// Longest wait for the collector to take a batch.
        timeout: Duration,
    },
    /// Nowhere, because the collector is to be spoken to in a protocol that this program does not have.
    Unsupported(String),
}

impl TraceExport {
    /// Time for a batch by the specification of OTLP exporters.
    const TIMEOUT: Duration = Duration::from_secs(10);

    /// What the variables say; by the specification an empty one counts as unset.
    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let read = |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let for_traces = |name: &str| {
            let names = [format!("OTEL_EXPORTER_OTLP_TRACES_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
            names.into_iter().find_map(|name| Some((read(&name)?, name)))
        };
        let is_disabled = read("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let exporters = read("OTEL_TRACES_EXPORTER").unwrap_or_else(|| "otlp".to_owned());
        if is_disabled || exporters.split(',').all(|name| name.trim() != "otlp") || for_traces("ENDPOINT").is_none() {
            return Ok(Self::Off);
        }
        if let Some((protocol, _)) = for_traces("PROTOCOL").filter(|(protocol, _)| protocol != "http/protobuf") {
            return Ok(Self::Unsupported(protocol));
        }
        let timeout = for_traces("TIMEOUT").map(|(text, name)| {
            let milliseconds =
                text.parse().with_context(|| format!("{name} does not read: `{text}` is no number of ms"));
            milliseconds.map(Duration::from_millis)
        });
        Ok(Self::Http { timeout: timeout.transpose()?.unwrap_or(Self::TIMEOUT) })
    }
}

impl Config {
    /// Reads all layers. `.env` in the working directory counts as environment; the real environment wins over it.
    ///
    /// # Errors
    /// When a file or a variable does not read, with its name.
    pub(crate) fn load() -> anyhow::Result<Self> {
        match dotenvy::dotenv() {
            Ok(_) => {}
            Err(error) if error.not_found() => {}
            Err(error) => return Err(error).context("cannot read .env"),
        }
        Self::from_layers(Path::new(FILE), |name| std::env::var(name).ok())
    }

    /// The compiled-in settings alone.
    ///
    /// # Errors
    /// Never, by a test.
    pub(crate) fn defaults() -> anyhow::Result<Self> {
        DEFAULTS.parse::<Table>()?.try_into().context("the compiled-in defaults do not read")
    }

    fn from_layers(file: &Path, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let mut settings: Table = DEFAULTS.parse().context("the compiled-in defaults do not read")?;
        settings.extend(read_file(file)?);
        for (name, default) in DEFAULTS.parse::<Table>().context("the compiled-in defaults do not read")? {
            let variable_name = variable_name(&name);
            // As in the official Claude clients, an empty variable counts as unset.
            let Some(text) = variable(&variable_name).filter(|text| !text.is_empty()) else { continue };
            let value = like(&default, &text).with_context(|| format!("{variable_name} does not read"))?;
            settings.insert(name, value);
        }
        let mut config: Self = settings.try_into().context("the configuration does not read")?;
        config.trace_export = TraceExport::from_variables(&variable)?;
        if config.concurrency == 0 {
            bail!("concurrency must be at least 1");
        }
        Ok(config)
    }

    /// The database: what is configured, or the file in the data directory.
    pub(crate) fn database_url(&self) -> String {
        if self.database_url.is_empty() {
            format!("sqlite:{}", self.data_dir.join("tinygen.db").display())
        } else {
            self.database_url.clone()
        }
    }

    /// How long a job is kept after its end; absent: for ever.
    pub(crate) fn retention(&self) -> Option<Duration> {
        (self.retention_days > 0).then(|| Duration::from_secs(self.retention_days.saturating_mul(24 * 60 * 60)))
    }

    /// Tokens for private repositories, by host.
    ///
    /// # Errors
    /// When an entry is not `host=token`; the message does not repeat the entry.
    pub(crate) fn repo_tokens(&self) -> anyhow::Result<Vec<(String, String)>> {
        let entries = self.repo_tokens.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let pairs = entries.enumerate().map(|(index, entry)| {
            let pair = entry.split_once('=').filter(|(host, token)| !host.is_empty() && !token.is_empty());
            pair.map(|(host, token)| (host.to_owned(), token.to_owned()))
                .with_context(|| format!("entry {} of TINYGEN_REPO_TOKENS is not host=token", index + 1))
        });
        pairs.collect()
    }
}

/// An address, or an empty text for none.
fn optional_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(de::Error::custom) }
}

/// Never shows a secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("data_dir", &self.data_dir)
            .field("model", &self.model)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// Reads an amount that is written as a number or, in a variable, as text.
fn dollars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cost, D::Error> {
    let text = match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        other => other.to_string(),
    };
    text.parse().map_err(de::Error::custom)
}

fn read_file(file: &Path) -> anyhow::Result<Table> {
    match std::fs::read_to_string(file) {
        Ok(text) => text.parse().with_context(|| format!("{} does not read", file.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Table::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn variable_name(setting: &str) -> String {
    let upper = setting.to_ascii_uppercase();
    if PLAIN_VARIABLES.contains(&setting) { upper } else { format!("TINYGEN_{upper}") }
}

/// Reads a variable as the type that its setting has.
fn like(default: &Value, text: &str) -> anyhow::Result<Value> {
    let text = text.trim();
    match default {
        Value::Integer(_) => {
            let number = text.parse().map_err(|_| anyhow!("`{text}` is not a whole number"))?;
            Ok(Value::Integer(number))
        }
        Value::Boolean(_) => match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(Value::Boolean(true)),
            "0" | "false" | "no" | "off" => Ok(Value::Boolean(false)),
            _ => bail!("`{text}` is neither true nor false"),
        },
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, variables: &[(&str, &str)]) -> anyhow::Result<Config> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        std::fs::write(&path, file).expect("written");
        Config::from_layers(&path, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn later_layers_win() {
        let config =
            load("concurrency = 2\nmodel = \"a\"", &[("TINYGEN_MODEL", "b"), ("TINYGEN_LISTEN", "")]).expect("valid");
        assert_eq!((config.concurrency, config.model.as_str()), (2, "b"));
        assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
    }

    #[test]
    fn variables_are_read_as_their_setting() {
        let config = load(
            "",
            &[
                ("TINYGEN_EGRESS_ALLOW", "127.0.0.0/8, ::1/128"),
                ("TINYGEN_ALLOW_PLAIN_HTTP", "1"),
                ("ANTHROPIC_API_KEY", "12345"),
                ("TINYGEN_CONCURRENCY", "9"),
            ],
        )
        .expect("valid");
        assert_eq!(config.egress_allow, ["127.0.0.0/8", "::1/128"]);
        assert!(config.allow_plain_http);
        assert_eq!((config.anthropic_api_key.as_str(), config.concurrency), ("12345", 9));
    }

    #[test]
    fn dollars_are_read_exactly() {
        let read = |file: &str, variable: &str| load(file, &[("TINYGEN_MAX_USD_PER_DAY", variable)]);
        let nanos = |file: &str, variable: &str| read(file, variable).expect("valid").max_usd_per_day.as_nanos();
        assert_eq!(nanos("", ""), 0);
        assert_eq!(nanos("max_usd_per_day = 0.1", ""), 100_000_000);
        assert_eq!(nanos("max_usd_per_day = 25", ""), 25_000_000_000);
        assert_eq!(nanos("max_usd_per_day = 25", "12.50"), 12_500_000_000);
        let error = format!("{:#}", read("", "cheap").expect_err("no amount"));
        assert!(error.contains("max_usd_per_day") && error.contains("US dollars"), "{error}");
    }

    #[test]
    fn jobs_are_kept_for_days_or_for_ever() {
        let retention = |days: &str| load("", &[("TINYGEN_RETENTION_DAYS", days)]).map(|config| config.retention());
        assert_eq!(retention("").expect("valid"), Some(Duration::from_hours(30 * 24)));
        assert_eq!(retention("2").expect("valid"), Some(Duration::from_hours(48)));
        assert_eq!(retention("0").expect("valid"), None);
        assert!(retention("-1").is_err());
    }

    #[test]
    fn mistakes_are_named() {
        let error = |file: &str, variables: &[(&str, &str)]| format!("{:#}", load(file, variables).expect_err("wrong"));
        assert!(error("", &[("TINYGEN_CONCURRENCY", "many")]).contains("TINYGEN_CONCURRENCY"));
        assert!(error("concurency = 1", &[]).contains("concurency"));
        assert!(error("", &[("TINYGEN_CONCURRENCY", "0")]).contains("at least 1"));
    }

    #[test]
    fn traces_go_where_the_standard_variables_say() {
        let export = |variables: &[(&str, &str)]| load("", variables).map(|config| config.trace_export);
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let http = |seconds| TraceExport::Http { timeout: Duration::from_secs(seconds) };
        for off in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
            &[endpoint, ("OTEL_SDK_DISABLED", "TRUE")],
            &[endpoint, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert_eq!(export(off).expect("valid"), TraceExport::Off, "{off:?}");
        }
        assert_eq!(export(&[endpoint]).expect("valid"), http(10));
        assert_eq!(export(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/x")]).expect("valid"), http(10));
        assert_eq!(export(&[endpoint, ("OTEL_EXPORTER_OTLP_TIMEOUT", "3000")]).expect("valid"), http(3));
        let grpc = export(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).expect("valid");
        assert_eq!(grpc, TraceExport::Unsupported("grpc".to_owned()));
        let error = export(&[endpoint, ("OTEL_EXPORTER_OTLP_TIMEOUT", "3s")]).expect_err("no number");
        assert!(format!("{error:#}").contains("OTEL_EXPORTER_OTLP_TIMEOUT"));
    }

    #[test]
    fn no_secret_is_shown() {
        let config = load("", &[("ANTHROPIC_API_KEY", "sk-secret"), ("TINYGEN_REPO_TOKENS", "github.com=ghp-secret")]);
        let config = config.expect("valid");
        assert!(!format!("{config:?}").contains("secret"));
        assert_eq!(config.repo_tokens().expect("valid"), [("github.com".to_owned(), "ghp-secret".to_owned())]);
        let wrong = load("", &[("TINYGEN_REPO_TOKENS", "ghp-secret")]).expect("valid").repo_tokens();
        assert!(!format!("{:#}", wrong.expect_err("no host")).contains("secret"));
    }

    #[test]
    fn a_worker_that_nobody_has_seen_is_like_one_by_default() {
        assert_eq!(Config::defaults().expect("valid").concurrency as u64, jobs::USUAL_SLOTS);
    }

    #[test]
    fn every_setting_is_documented() {
        let defaults: Table = DEFAULTS.parse().expect("valid");
        for name in defaults.keys() {
            assert!(
                DEFAULTS.contains(&format!("# {} ", variable_name(name)))
                    || DEFAULTS.contains(&format!(" {} ", variable_name(name))),
                "{name}"
            );
        }
    }
}
