//! Where a webhook is delivered.

use std::fmt;

use url::Url;

const MAX_URL_BYTES: usize = 2048;

/// The address of a webhook's receiver. Unlike a repository's it may have a query, which often holds a token: `Debug`
/// shows the origin alone.
///
/// Whether this server talks to the host is another question; `egress` answers it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WebhookUrl(Url);

/// Why a text is not the address of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookUrlError {
    /// More than 2,048 bytes.
    #[error("the webhook URL is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// Something else than HTTP.
    #[error("the webhook URL must start with https://")]
    Scheme,
    /// The WHATWG parser refuses it.
    #[error("the webhook URL is not a valid URL")]
    Syntax,
    /// Blanks, control characters or backslashes.
    #[error("the webhook URL has blanks, control characters or backslashes")]
    Characters,
    /// `user:password@`.
    #[error("the webhook URL must not carry credentials: verify the signature instead")]
    Credentials,
    /// `#x`, which is never sent.
    #[error("the webhook URL must not have a fragment")]
    Fragment,
}

impl WebhookUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// [`WebhookUrlError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, WebhookUrlError> {
        if text.len() > MAX_URL_BYTES {
            return Err(WebhookUrlError::TooLong);
        }
        if text.bytes().any(|byte| byte <= 0x20 || byte == 0x7f || byte == b'\\') {
            return Err(WebhookUrlError::Characters);
        }
        let lower = text.to_ascii_lowercase();
        let rest = ["https://", "http://"].iter().find_map(|scheme| lower.strip_prefix(scheme));
        let rest = rest.ok_or(WebhookUrlError::Scheme)?;
        if rest.starts_with('/') {
            return Err(WebhookUrlError::Syntax);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains(['@', '%']) {
            return Err(WebhookUrlError::Credentials);
        }
        let url = Url::parse(text).map_err(|_| WebhookUrlError::Syntax)?;
        if url.fragment().is_some() {
            return Err(WebhookUrlError::Fragment);
        }
        Ok(Self(url))
    }

    /// The address as the parser writes it: this is what is stored and dialled.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed address.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// Scheme, host and port: who receives, whatever the path.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({}/…)", self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_receivers_have() {
        for (text, origin) in [
            ("https://hooks.example.org/in?token=abc", "https://hooks.example.org"),
            ("HTTPS://Hooks.Example.org:8443", "https://hooks.example.org:8443"),
            ("http://127.0.0.1:9000/a%20b", "http://127.0.0.1:9000"),
        ] {
            assert_eq!(WebhookUrl::parse(text).expect(text).origin(), origin);
        }
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        let long = format!("https://a.example/{}", "x".repeat(MAX_URL_BYTES));
        for (text, error) in [
            (long.as_str(), WebhookUrlError::TooLong),
            ("ftp://a.example/", WebhookUrlError::Scheme),
            ("a.example/hook", WebhookUrlError::Scheme),
            ("https:///hook", WebhookUrlError::Syntax),
            ("https://[::1/x", WebhookUrlError::Syntax),
            ("https://a.example/a b", WebhookUrlError::Characters),
            ("https://a.example\\@b.example/", WebhookUrlError::Characters),
            ("https://user:password@a.example/", WebhookUrlError::Credentials),
            ("https://a.example/#part", WebhookUrlError::Fragment),
        ] {
            assert_eq!(WebhookUrl::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn keeps_its_token_out_of_debug_output() {
        let url = WebhookUrl::parse("https://hooks.example.org/secret?token=secret").expect("valid");
        assert_eq!(format!("{url:?}"), "WebhookUrl(https://hooks.example.org/…)");
    }
}
