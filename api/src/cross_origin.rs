//! Keeps web pages of other origins from using this server through somebody's browser.
//!
//! The API takes JSON under any content type, so a browser would send such a request without asking first, also to a
//! server that listens on the loopback interface only; every job costs money. The rule is the one of Go's
//! `net/http.CrossOriginProtection`: what a browser says in `Sec-Fetch-Site` counts, then whether `Origin` is `Host`;
//! what says neither is no browser. Pages of the origins that the operator names are let through.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::origins::AllowedOrigins;

/// Refuses requests that change something and come from a web page of an origin that is neither ours nor allowed.
pub(crate) async fn refuse_cross_origin(
    State(allowed): State<AllowedOrigins>,
    request: Request,
    next: Next,
) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe || is_same_origin(request.headers()) || allowed.include(request.headers()) {
        next.run(request).await
    } else {
        ApiError::CrossOrigin.into_response()
    }
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin_host = origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, host)| host);
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    origin_host.is_some() && origin_host == host
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn judge(headers: &[(&'static str, &str)]) -> bool {
        let header =
            |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().expect("value"));
        is_same_origin(&headers.iter().map(header).collect())
    }

    #[test]
    fn programs_and_own_pages_pass() {
        assert!(judge(&[("host", "127.0.0.1:8000")]));
        assert!(judge(&[("sec-fetch-site", "same-origin"), ("origin", "https://a.example"), ("host", "b")]));
        assert!(judge(&[("sec-fetch-site", "none")]));
        assert!(judge(&[("origin", "http://127.0.0.1:8000"), ("host", "127.0.0.1:8000")]));
    }

    #[test]
    fn pages_of_other_origins_do_not() {
        assert!(!judge(&[("sec-fetch-site", "cross-site"), ("host", "a")]));
        assert!(!judge(&[("sec-fetch-site", "same-site"), ("host", "a")]));
        assert!(!judge(&[("origin", "https://evil.example"), ("host", "127.0.0.1:8000")]));
        assert!(!judge(&[("origin", "http://127.0.0.1:8001"), ("host", "127.0.0.1:8000")]));
        assert!(!judge(&[("origin", "null"), ("host", "127.0.0.1:8000")]));
    }
}
