//! The answers that are problems: which codes an operation can answer with, what they mean, and how they look.

use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{AllOfBuilder, Components, Content, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type};
use utoipa::{PartialSchema, ToSchema};

use super::headers;
use crate::wire::{ErrorCode, FieldError, Problem};

/// Where a handler lists the codes that are its own.
const OWN: &str = "x-problems";

const PROBLEM_JSON: &str = "application/problem+json";

/// What any request may be answered with.
pub(super) const OF_ALL: &[&str] = &["method_not_allowed", "internal"];

/// What a request may be answered with that may need a key. Who sends it is looked up in the database.
pub(super) const OF_GUARDED: &[&str] =
    &["unauthenticated", "insufficient_scope", "rate_limited", "storage_unavailable"];

/// What a request may be answered with that is more than a look.
pub(super) const OF_UNSAFE: &[&str] = &["cross_origin"];

/// What a request with a body may be answered with.
pub(super) const OF_BODIES: &[&str] =
    &["malformed_json", "request_timeout", "body_too_large", "unsupported_media_type", "invalid_field"];

/// What a request about one thing may be answered with.
pub(super) const OF_THINGS: &[&str] = &["not_found"];

/// Adds the codes that the operation's handler lists; the list itself is not part of the description.
pub(super) fn add_own(operation: &mut Operation) {
    let own = operation.extensions.as_mut().and_then(|extensions| extensions.remove(OWN));
    let Some(Value::Array(codes)) = own else { return };
    let codes: Vec<&str> = codes.iter().filter_map(Value::as_str).collect();
    add(operation, &codes);
}

/// Adds the answers with these codes.
pub(super) fn add(operation: &mut Operation, codes: &[&str]) {
    for code in codes {
        for error in ErrorCode::all().iter().filter(|error| error.code == *code) {
            add_one(operation, error);
        }
        assert!(ErrorCode::all().iter().any(|error| error.code == *code), "`{code}` is no code of an answer");
    }
}

fn add_one(operation: &mut Operation, error: &ErrorCode) {
    let responses = &mut operation.responses.responses;
    let new = || RefOr::T(ResponseBuilder::new().build());
    let response = responses.entry(error.status.to_string()).or_insert_with(new);
    let RefOr::T(response) = response else { return };
    let line = format!("`{}`: {}", error.code, error.meaning);
    let separator = if response.description.is_empty() { "" } else { "\n\n" };
    response.description = format!("{}{separator}{line}", response.description);
    headers::add(response, headers_of(error.status));
    add_code(response, error.code);
}

/// Says in the answer's schema that the problem may have this code.
fn add_code(response: &mut Response, code: &str) {
    let mut codes: Vec<Value> = vec![code.into()];
    if let Some(RefOr::T(Content { schema: Some(RefOr::T(schema)), .. })) = response.content.get(PROBLEM_JSON) {
        let schema = serde_json::to_value(schema).expect("a schema is plain data");
        let known = schema.pointer("/allOf/1/properties/code/enum").and_then(Value::as_array);
        codes.splice(0..0, known.into_iter().flatten().cloned());
    }
    let code = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes));
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name(Problem::name()))
        .item(ObjectBuilder::new().property("code", code).required("code"));
    response.content.insert(PROBLEM_JSON.to_owned(), Content::new(Some(schema)).into());
}

fn headers_of(status: u16) -> &'static [&'static str] {
    match status {
        401 | 403 => &["WWW-Authenticate"],
        405 => &["Allow"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    }
}

pub(super) fn add_schemas(components: &mut Components) {
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.schemas.insert(FieldError::name().into_owned(), FieldError::schema());
}
