//! The answers that are problems: which codes an operation can answer with, what they mean, and how they look.

use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{AllOfBuilder, Components, Content, ObjectBuilder, Ref, Response, ResponseBuilder, Type};
use utoipa::{PartialSchema, ToSchema};

use super::headers;
use crate::wire::{ErrorCode, FieldError, Problem};

/// Where a handler lists the codes that are its own.
const OWN: &str = "x-problems";

const PROBLEM_JSON: &str = "application/problem+json";

/// What any request may be answered with.
const OF_ALL: &[&str] = &["method_not_allowed", "internal"];

/// What a request may be answered with that may need a key. Who sends it is looked up in the database.
const OF_GUARDED: &[&str] =
    &["unauthenticated", "insufficient_scope", "foreign_host", "rate_limited", "storage_unavailable"];

/// What a request may be answered with that is more than a look.
const OF_UNSAFE: &[&str] = &["cross_origin"];

/// What a request with a body may be answered with.
const OF_BODIES: &[&str] =
    &["malformed_json", "request_timeout", "body_too_large", "unsupported_media_type", "invalid_field"];

/// What a request about one thing may be answered with.
const OF_THINGS: &[&str] = &["not_found"];

/// Adds the answers of an operation that are problems. Those with the same codes are one component.
pub(super) fn describe(path: &str, method: &str, operation: &mut Operation, components: &mut Components) {
    let codes = codes_of(path, method, operation);
    let of_operation: Vec<&ErrorCode> =
        ErrorCode::all().iter().filter(|error| codes.iter().any(|code| code == error.code)).collect();
    assert_eq!(
        of_operation.len(),
        codes.len(),
        "{method} {path} answers with codes that are not in the table: {codes:?}"
    );
    let id = operation.operation_id.clone().unwrap_or_default();
    for of_status in of_operation.chunk_by(|one, other| one.status == other.status) {
        let status = of_status[0].status;
        let mut response = response(of_status);
        let names = of_status.iter().map(|error| error.code);
        let names = names.chain(headers::add_accepted(&mut response, &id, status).then_some(id.as_str()));
        let name = format!("{status}.{}", names.collect::<Vec<_>>().join("."));
        operation.responses.responses.insert(status.to_string(), Ref::from_response_name(&name).into());
        components.responses.insert(name, response.into());
    }
}

/// The codes that an operation can answer with. The list of its handler is not part of the description.
fn codes_of(path: &str, method: &str, operation: &mut Operation) -> Vec<String> {
    let own = operation.extensions.as_mut().and_then(|extensions| extensions.remove(OWN));
    let own = own.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let is_guarded = operation.security.is_some();
    let common = [
        (true, OF_ALL),
        (is_guarded, OF_GUARDED),
        (is_guarded && method != "get", OF_UNSAFE),
        (operation.request_body.is_some(), OF_BODIES),
        (path.contains('{'), OF_THINGS),
    ];
    let common = common.into_iter().filter(|(applies, _)| *applies).flat_map(|(_, codes)| codes.iter().copied());
    own.chain(common).map(str::to_owned).collect()
}

/// The answer with one status and any of these codes.
fn response(codes: &[&ErrorCode]) -> Response {
    let status = codes[0].status;
    let lines: Vec<String> = codes.iter().map(|error| format!("`{}`: {}", error.code, error.meaning)).collect();
    let code = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes.iter().map(|error| error.code)));
    let schema = AllOfBuilder::new().item(Ref::from_schema_name(Problem::name())).item(
        ObjectBuilder::new()
            .property("status", ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([status])))
            .property("code", code),
    );
    let mut response = ResponseBuilder::new()
        .description(lines.join("\n\n"))
        .content(PROBLEM_JSON, Content::new(Some(schema)))
        .build();
    headers::add(&mut response, headers::OF_ALL);
    headers::add(&mut response, headers::of_problem(status));
    response
}

pub(super) fn add_schemas(components: &mut Components) {
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.schemas.insert(FieldError::name().into_owned(), FieldError::schema());
}
