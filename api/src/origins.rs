//! Web pages of other origins that may use this server: none, unless the operator names them.
//!
//! They are told so by CORS (WHATWG Fetch §3.2). Cookies and the like never count: a page sends an API key, which it
//! must have been given.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::CorsLayer;
use url::Url;

/// How long a browser may remember what it was told.
const MAX_AGE: Duration = Duration::from_mins(10);

/// What a page may send beside what every page may.
const REQUEST_HEADERS: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_NONE_MATCH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("x-request-id"),
];

/// What a page may read beside what every page may.
const RESPONSE_HEADERS: [HeaderName; 11] = [
    header::CONTENT_DISPOSITION,
    header::ETAG,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("idempotent-replayed"),
    HeaderName::from_static("preference-applied"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-request-id"),
];

/// The origin of web pages, as browsers send it: `https://app.example.org`, with the port where it is not the scheme's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// A text is no [`Origin`].
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not an origin: a scheme, a host and, if it is not the usual one, a port, such as https://app.example.org"
)]
pub struct ParseOriginError(String);

impl FromStr for Origin {
    type Err = ParseOriginError;

    /// Takes the text as browsers write it and no other way, because texts are compared. `*` and `null` would be
    /// everybody.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseOriginError(text.to_owned());
        let url = Url::parse(text).map_err(|_| error())?;
        let is_web = matches!(url.scheme(), "http" | "https");
        // A host may hold a `*` by the rules of URLs; here it would be taken for a wildcard, which it is not.
        let is_exact = url.origin().ascii_serialization() == text && !text.contains('*');
        if is_web && is_exact { HeaderValue::from_str(text).map(Self).map_err(|_| error()) } else { Err(error()) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// The origins that the operator names.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowedOrigins(Arc<[HeaderValue]>);

impl AllowedOrigins {
    /// Whether the request comes from a page of one of them.
    pub(crate) fn include(&self, headers: &HeaderMap) -> bool {
        headers.get(header::ORIGIN).is_some_and(|origin| self.0.contains(origin))
    }

    /// What tells browsers so; nothing when there are none, so that no answer has a header of CORS.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        let methods = [Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE];
        let layer = || {
            CorsLayer::new()
                .allow_origin(self.0.to_vec())
                .allow_methods(methods)
                .allow_headers(REQUEST_HEADERS)
                .expose_headers(RESPONSE_HEADERS)
                .max_age(MAX_AGE)
        };
        (!self.0.is_empty()).then(layer)
    }
}

impl FromIterator<Origin> for AllowedOrigins {
    fn from_iter<I: IntoIterator<Item = Origin>>(origins: I) -> Self {
        Self(origins.into_iter().map(|origin| origin.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for fit in ["https://app.example.org", "http://localhost:3000", "https://[::1]:8443"] {
            assert_eq!(fit.parse::<Origin>().expect(fit).to_string(), fit);
        }
        for unfit in [
            "*",
            "null",
            "",
            "app.example.org",
            "https://app.example.org/",
            "https://app.example.org/page",
            "https://app.example.org:443",
            "https://App.example.org",
            "https://*.example.org",
            "https://user@app.example.org",
            "file:///tmp",
        ] {
            assert!(unfit.parse::<Origin>().is_err(), "{unfit}");
        }
    }
}
