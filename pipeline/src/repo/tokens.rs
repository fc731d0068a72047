//! The tokens of Git hosts.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::{Origin, Url};

/// The user name that goes with a token: what GitHub documents, and other hosts ignore.
const TOKEN_USER: &str = "x-access-token";

/// Tokens by the origin (scheme, host, port) they are for. A token is never sent anywhere else.
#[derive(Debug, Clone, Default)]
pub struct HostTokens {
    by_origin: BTreeMap<String, SecretString>,
}

/// A text that names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a host: write `git.example.org`, `git.example.org:8443` or `http://localhost:3000`")]
pub struct TokenHostError(String);

/// The value of an `Authorization` header, and the only origin it may go to.
#[derive(Clone)]
pub(crate) struct Credential {
    origin: Origin,
    header: HeaderValue,
}

impl HostTokens {
    /// No tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the token for a host: `github.com` and `git.example.org:8443` mean https; plain http has to be written out.
    ///
    /// # Errors
    /// [`TokenHostError`] when `host` is neither a host nor an origin.
    pub fn insert(&mut self, host: &str, token: SecretString) -> Result<(), TokenHostError> {
        let error = || TokenHostError(host.to_owned());
        let text = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        let url = Url::parse(&text).map_err(|_| error())?;
        let is_origin = matches!(url.scheme(), "https" | "http")
            && url.username().is_empty()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_origin {
            return Err(error());
        }
        self.by_origin.insert(url.origin().ascii_serialization(), token);
        Ok(())
    }

    /// The credential for a repository's address, if there is one.
    pub(crate) fn credential(&self, url: &Url) -> Option<Credential> {
        let token = self.by_origin.get(&url.origin().ascii_serialization())?;
        let pair = format!("{TOKEN_USER}:{}", token.expose_secret());
        let mut header = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair))).ok()?;
        header.set_sensitive(true);
        Some(Credential { origin: url.origin(), header })
    }
}

impl Credential {
    /// The header for a request to `url`; none when `url` is not the origin that the token is for.
    pub(crate) fn header_for(&self, url: &Url) -> Option<HeaderValue> {
        (url.origin() == self.origin).then(|| self.header.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(host: &str) -> HostTokens {
        let mut tokens = HostTokens::new();
        tokens.insert(host, SecretString::from("s3cret")).expect(host);
        tokens
    }

    fn sent(tokens: &HostTokens, url: &str) -> Option<String> {
        let url = Url::parse(url).expect(url);
        let header = tokens.credential(&url)?.header_for(&url)?;
        Some(header.to_str().expect("ascii").to_owned())
    }

    #[test]
    fn a_token_goes_to_its_origin_only() {
        let tokens = tokens("GitHub.com");
        assert_eq!(sent(&tokens, "https://github.com/a/b").as_deref(), Some("Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0"));
        for elsewhere in ["http://github.com/a", "https://github.com:8443/a", "https://evil.github.com/a"] {
            assert_eq!(sent(&tokens, elsewhere), None, "{elsewhere}");
        }
        let credential = tokens.credential(&"https://github.com/a".parse().unwrap()).expect("configured");
        assert!(credential.header_for(&"https://evil.org/a".parse().unwrap()).is_none());
    }

    #[test]
    fn plain_http_must_be_written_out() {
        assert!(sent(&tokens("http://localhost:3000"), "http://localhost:3000/a").is_some());
        assert!(sent(&tokens("localhost:3000"), "http://localhost:3000/a").is_none());
    }

    #[test]
    fn refuses_what_is_no_host() {
        for text in ["", "https://github.com/path", "user@github.com", "ssh://github.com", "a b"] {
            assert!(HostTokens::new().insert(text, SecretString::from("x")).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_output_shows_no_token() {
        assert!(!format!("{:?}", tokens("github.com")).contains("s3cret"));
    }
}
