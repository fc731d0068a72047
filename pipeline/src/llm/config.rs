//! Where the model service is and who we are there.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::ModelTable;

/// The version of the protocol this client speaks.
const API_VERSION: HeaderValue = HeaderValue::from_static("2026-10-21");

const AGENT: HeaderValue = HeaderValue::from_static(concat!("tinygen/", env!("CARGO_PKG_VERSION")));

/// Settings of [`Anthropic`](super::Anthropic). The names of the environment in the official clients are given; an
/// empty value counts as none there.
#[derive(Debug, Clone)]
pub struct AnthropicConfig {
    /// `ANTHROPIC_BASE_URL`: without `/v1`; may have a path.
    pub base_url: Url,
    /// `ANTHROPIC_API_KEY` or `ANTHROPIC_AUTH_TOKEN`; a gateway may need neither.
    pub credentials: Option<Credentials>,
    /// `ANTHROPIC_CUSTOM_HEADERS`: lines of `Name: value`. A header that this client sets itself wins.
    pub custom_headers: Option<SecretString>,
    /// The models whose prices are known.
    pub models: ModelTable,
}

impl AnthropicConfig {
    /// The service itself, or the gateway at this URL.
    pub fn new(base_url: Url) -> Self {
        Self { base_url, credentials: None, custom_headers: None, models: ModelTable::built_in() }
    }
}

/// How we say who we are.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Sent as `x-api-key`.
    ApiKey(SecretString),
    /// Sent as `Authorization: Bearer`.
    AuthToken(SecretString),
}

impl Credentials {
    /// The key when there is one, else the token; an empty value counts as none.
    pub fn choose(api_key: Option<SecretString>, auth_token: Option<SecretString>) -> Option<Self> {
        let present = |secret: &SecretString| !secret.expose_secret().is_empty();
        let key = api_key.filter(present).map(Self::ApiKey);
        key.or_else(|| auth_token.filter(present).map(Self::AuthToken))
    }
}

/// Why the settings cannot work. No message holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The client appends `/v1/messages` itself.
    #[error("the base URL of the model service must not end in /v1: write it as `{0}`")]
    VersionInBaseUrl(String),
    /// Not a URL that a path can be appended to.
    #[error("the base URL of the model service must be an http or https URL")]
    BaseUrl,
    /// The key or token has characters that no header can carry.
    #[error("the credentials for the model service hold characters that are not visible ASCII")]
    Credentials,
    /// A line that is not `Name: value`, counted from 1.
    #[error("line {0} of the custom headers for the model service is not `Name: value`")]
    CustomHeader(usize),
}

/// The headers of every request.
pub(super) fn headers(config: &AnthropicConfig) -> Result<HeaderMap, ConfigError> {
    let mut headers = custom_headers(config.custom_headers.as_ref().map_or("", |lines| lines.expose_secret()))?;
    headers.insert("anthropic-version", API_VERSION);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, AGENT);
    match &config.credentials {
        Some(Credentials::ApiKey(key)) => {
            headers.remove(AUTHORIZATION);
            headers.insert("x-api-key", sensitive(key.expose_secret())?);
        }
        Some(Credentials::AuthToken(token)) => {
            headers.remove("x-api-key");
            headers.insert(AUTHORIZATION, sensitive(&format!("Bearer {}", token.expose_secret()))?);
        }
        None => {}
    }
    Ok(headers)
}

/// Every text that must not appear in an error: the credentials and the values of the custom headers.
pub(super) fn secrets(config: &AnthropicConfig) -> Vec<SecretString> {
    let credentials = config.credentials.iter().map(|credentials| match credentials {
        Credentials::ApiKey(secret) | Credentials::AuthToken(secret) => secret.clone(),
    });
    let custom = config.custom_headers.iter().flat_map(|lines| lines.expose_secret().lines());
    let values = custom.filter_map(|line| line.split_once(':')).map(|(_, value)| value.trim());
    credentials.chain(values.map(SecretString::from)).collect()
}

/// Checks the base URL, which other URLs are made from.
pub(super) fn check_base_url(url: &Url) -> Result<(), ConfigError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ConfigError::BaseUrl);
    }
    match url.path().trim_end_matches('/').strip_suffix("/v1") {
        None => Ok(()),
        Some(path) => {
            let mut without = Url::clone(url);
            without.set_path(path);
            // Credentials in a URL would be shown.
            without.set_password(None).and_then(|()| without.set_username("")).map_err(|()| ConfigError::BaseUrl)?;
            Err(ConfigError::VersionInBaseUrl(without.into()))
        }
    }
}

fn custom_headers(lines: &str) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (index, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let error = || ConfigError::CustomHeader(index + 1);
        let (name, value) = line.split_once(':').ok_or_else(error)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| error())?;
        let value = sensitive(value.trim()).map_err(|_| error())?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn sensitive(value: &str) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| ConfigError::Credentials)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AnthropicConfig {
        AnthropicConfig::new(Url::parse("https://api.anthropic.com").unwrap())
    }

    #[test]
    fn sends_the_key_alone() {
        let config = AnthropicConfig {
            credentials: Credentials::choose(Some("key".into()), Some("token".into())),
            custom_headers: Some("Authorization: Bearer other\nX-Team: blue\n\nanthropic-version: 2023-06-01".into()),
            ..config()
        };
        let headers = headers(&config).unwrap();
        assert_eq!(headers["x-api-key"], "key");
        assert_eq!(headers.get("authorization"), None);
        assert_eq!(headers["anthropic-version"], "2026-10-21");
        assert_eq!(headers["x-team"], "blue");
    }

    #[test]
    fn sends_the_token_when_there_is_no_key() {
        let credentials = Credentials::choose(Some("".into()), Some("token".into()));
        let headers = headers(&AnthropicConfig { credentials, ..config() }).unwrap();
        assert_eq!(headers["authorization"], "Bearer token");
        assert_eq!(headers.get("x-api-key"), None);
        assert!(Credentials::choose(Some("".into()), None).is_none());
    }

    #[test]
    fn refuses_settings_that_cannot_work_without_showing_them() {
        let with = |lines: &str| headers(&AnthropicConfig { custom_headers: Some(lines.into()), ..config() });
        assert!(matches!(with("A: b\nsecret"), Err(ConfigError::CustomHeader(2))));
        let key = Some(Credentials::ApiKey("se\ncret".into()));
        let error = headers(&AnthropicConfig { credentials: key, ..config() }).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("cret\""));
        assert!(
            !format!("{:?}", AnthropicConfig { custom_headers: Some("A: secret".into()), ..config() })
                .contains("secret")
        );
    }

    #[test]
    fn says_how_to_write_the_base_url() {
        let check = |url: &str| check_base_url(&Url::parse(url).unwrap());
        assert!(check("https://gateway.example/anthropic").is_ok());
        let error = check("https://me:pass@gateway.example/anthropic/v1/").unwrap_err();
        assert!(error.to_string().ends_with("`https://gateway.example/anthropic`"), "{error}");
        assert!(matches!(check("mailto:me@example.com"), Err(ConfigError::BaseUrl)));
    }
}
