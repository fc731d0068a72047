//! Keeps web pages from using an open server as if it were theirs.
//!
//! The name that a page came from may lead to this machine by the time the page asks again (DNS rebinding): its browser
//! then takes this server for the page's own. What gives it away is that name, in `Host`.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};

/// Whether the request was sent to an address, or to a name that always leads to the sender's own machine (RFC 6761 §6.3).
/// A program that says nothing is no browser.
pub(crate) fn is_own(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Some(authority) = host.to_str().ok().and_then(|text| text.parse::<Authority>().ok()) else { return false };
    let host = authority.host().to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok() || host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_others_are_foreign() {
        let judge = |host: &str| is_own(&HeaderMap::from_iter([(header::HOST, host.parse().expect("a value"))]));
        for own in ["127.0.0.1:8000", "127.0.0.1", "[::1]:8000", "localhost:8000", "LOCALHOST", "tinygen.localhost:80"]
        {
            assert!(judge(own), "{own}");
        }
        for foreign in ["evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.io", "xlocalhost", "", "a b"] {
            assert!(!judge(foreign), "{foreign}");
        }
        assert!(is_own(&HeaderMap::new()));
    }
}
