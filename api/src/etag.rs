//! Whether a client has the newest version already.

use axum::http::{HeaderMap, header};

/// Whether the client already has what the tag names (RFC 9110 §13.1.2: compared weakly).
pub(crate) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
