//! Headers: those that many answers have, and which of them are always there.

use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{
    Components, Header, HeaderBuilder, KnownFormat, Object, ObjectBuilder, Ref, RefOr, Response, Schema, SchemaFormat,
    Type,
};

/// On every answer.
pub(super) const OF_ALL: &[&str] = &["X-Request-Id", "X-Content-Type-Options"];

/// On answers of a route that may need a key.
pub(super) const OF_GUARDED: &[&str] = &["RateLimit", "RateLimit-Policy"];

/// A header that many answers have.
struct Common {
    name: &'static str,
    kind: Type,
    /// Whether every answer that refers to it has it.
    is_always_there: bool,
    description: &'static str,
}

const COMMON: &[Common] = &[
    Common {
        name: "X-Request-Id",
        kind: Type::String,
        is_always_there: true,
        description: "The id of the request, as in the logs: the client's own, or a new one.",
    },
    Common {
        name: "X-Content-Type-Options",
        kind: Type::String,
        is_always_there: true,
        description: "`nosniff`: the body is what `Content-Type` says.",
    },
    Common {
        name: "Allow",
        kind: Type::String,
        is_always_there: true,
        description: "The methods that the address takes.",
    },
    Common {
        name: "Retry-After",
        kind: Type::Integer,
        is_always_there: true,
        description: "When to ask again, in seconds.",
    },
    Common {
        name: "WWW-Authenticate",
        kind: Type::String,
        is_always_there: false,
        description: "What kind of key is missing (RFC 6750 §3); absent when it is not a matter of keys.",
    },
    Common {
        name: "RateLimit",
        kind: Type::String,
        is_always_there: false,
        description: "How the key stands, as `\"name\";r=left;t=seconds until all is back` \
                      (draft-ietf-httpapi-ratelimit-headers-11); absent without a key, and where there is no bound.",
    },
    Common {
        name: "RateLimit-Policy",
        kind: Type::String,
        is_always_there: false,
        description: "What the key may do, as `\"name\";q=quota;w=seconds`; absent where `RateLimit` is.",
    },
];

/// The headers of a problem with this status, beside those of all answers.
pub(super) fn of_problem(status: u16) -> &'static [&'static str] {
    match status {
        401 => &["WWW-Authenticate"],
        403 => &["WWW-Authenticate", "RateLimit", "RateLimit-Policy"],
        405 => &["Allow"],
        429 | 503 => &["Retry-After", "RateLimit", "RateLimit-Policy"],
        _ => OF_GUARDED,
    }
}

/// Adds to the problem of an operation what it says when it came up after a job was accepted. Gives whether it may be so.
pub(super) fn add_accepted(response: &mut Response, operation: &str, status: u16) -> bool {
    if operation != "create_job" || !matches!(status, 409 | 410 | 500 | 503) {
        return false;
    }
    add(response, &["Preference-Applied", "Idempotent-Replayed"]);
    let location = HeaderBuilder::new()
        .schema(Some(Object::with_type(Type::String)))
        .description(Some("Where the job is, if it was accepted."));
    response.headers.insert("Location".to_owned(), location.build().into());
    true
}

/// Refers to these headers from an answer.
pub(super) fn add(response: &mut Response, names: &[&str]) {
    for name in names {
        let reference = Ref::new(format!("#/components/headers/{name}"));
        response.headers.insert((*name).to_owned(), RefOr::Ref(reference));
    }
}

/// Says of the headers that a handler describes which are always there: those of a type that is not an `Option`.
pub(super) fn settle(response: &mut Response) {
    for header in response.headers.values_mut() {
        if let RefOr::T(header) = header
            && !header.schema.as_mut().is_some_and(take_null)
        {
            require(header);
        }
    }
}

/// Says of the headers that a request may have that they are texts: those that are there have a value.
pub(super) fn settle_parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(Parameter { parameter_in: ParameterIn::Header, schema: Some(schema), .. }) = parameter {
            take_null(schema);
        }
    }
}

/// Takes away that the value may be `null`, which an `Option` becomes. Gives whether it was one.
fn take_null(schema: &mut RefOr<Schema>) -> bool {
    let RefOr::T(Schema::Object(Object { schema_type, .. })) = schema else { return false };
    let SchemaType::Array(types) = &*schema_type else { return false };
    let rest: Vec<&Type> = types.iter().filter(|kind| **kind != Type::Null).collect();
    let [kind] = rest.as_slice() else { return false };
    *schema_type = SchemaType::Type((*kind).clone());
    true
}

/// The crate that writes the description has no field for it.
fn require(header: &mut Header) {
    header.extensions = Some([("required", true)].into_iter().collect::<Extensions>());
}

pub(super) fn add_components(components: &mut Components) {
    for Common { name, kind, is_always_there, description } in COMMON {
        let format = (*kind == Type::Integer).then_some(SchemaFormat::KnownFormat(KnownFormat::Int64));
        let mut header = Header::new(ObjectBuilder::new().schema_type(kind.clone()).format(format));
        header.description = Some((*description).to_owned());
        if *is_always_there {
            require(&mut header);
        }
        components.headers.insert((*name).to_owned(), header.into());
    }
}
