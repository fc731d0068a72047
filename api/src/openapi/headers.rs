//! The headers that many answers have, described once and referred to.

use utoipa::openapi::{Components, Header, Object, Ref, RefOr, Response, Type};

/// A header: its name, whether it is a number, and what it says.
type CommonHeader = (&'static str, Type, &'static str);

/// On every answer.
pub(super) const OF_ALL: &[&str] = &["X-Request-Id"];

/// On every answer of a route that may need a key.
pub(super) const OF_GUARDED: &[&str] = &["RateLimit", "RateLimit-Policy"];

const COMMON: &[CommonHeader] = &[
    ("X-Request-Id", Type::String, "The id of the request, as in the logs: the client's own, or a new one."),
    ("Allow", Type::String, "The methods that the address takes."),
    ("Retry-After", Type::Integer, "When to ask again, in seconds."),
    ("WWW-Authenticate", Type::String, "What kind of key is missing (RFC 6750 §3)."),
    (
        "RateLimit",
        Type::String,
        "How the key stands, as `\"name\";r=left;t=seconds until all is back` \
         (draft-ietf-httpapi-ratelimit-headers-11); absent on an open server, and where there is no bound.",
    ),
    (
        "RateLimit-Policy",
        Type::String,
        "What the key may do, as `\"name\";q=quota;w=seconds`; absent where `RateLimit` is.",
    ),
];

/// Refers to these headers from an answer that does not describe them itself.
pub(super) fn add(response: &mut Response, names: &[&str]) {
    for name in names {
        let header = || RefOr::Ref(Ref::new(format!("#/components/headers/{name}")));
        response.headers.entry((*name).to_owned()).or_insert_with(header);
    }
}

pub(super) fn add_components(components: &mut Components) {
    for (name, kind, description) in COMMON {
        let mut header = Header::new(Object::with_type(kind.clone()));
        header.description = Some((*description).to_owned());
        components.headers.insert((*name).to_owned(), header.into());
    }
}
