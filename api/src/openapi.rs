//! The description of the API (OpenAPI 3.1), made from the routes themselves.
//!
//! Each handler describes what is its own: parameters, bodies, and the answers that only it gives. What many answers
//! have in common is put in here, once.

use utoipa::openapi::path::Operation;
use utoipa::openapi::response::Response;
use utoipa::openapi::{
    Content, Header, InfoBuilder, License, Object, OpenApi, OpenApiBuilder, Ref, RefOr, ResponseBuilder, ServerBuilder,
    Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::wire::{FieldError, Problem};

const ABOUT: &str = "A Git repository and a prompt in, a unified diff out.

These paths are version 1: they change by addition only. Unknown fields of a request are refused. Errors are problem \
details (RFC 9457); programs branch on `code`.";

/// An answer that several routes give: status and description.
type CommonResponse = (&'static str, &'static str);

/// What any request may be answered with.
const OF_ALL: &[CommonResponse] = &[
    ("405", "`method_not_allowed`: the address exists, but not with this method."),
    ("500", "`internal`: a defect in tinygen; its log says more, by the request's id."),
    ("503", "`storage_unavailable`: the database is away; nothing was stored. `Retry-After` says when to ask again."),
];

/// What a request with a body may be answered with.
const OF_BODIES: &[CommonResponse] = &[
    ("400", "`malformed_json`: the body is not JSON."),
    ("408", "`request_timeout`: the body did not come within 30 s."),
    ("413", "`body_too_large`: the body is larger than 64 KiB."),
    ("415", "`unsupported_media_type`: the body is something else than JSON."),
];

/// What a request about one thing may be answered with.
const OF_THINGS: &[CommonResponse] = &[("404", "`not_found`: there is no such thing, or it is somebody else's.")];

/// The description before any route is added.
pub(crate) fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("tinygen")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(License::new("MIT")))
        .build();
    OpenApiBuilder::new().info(info).servers(Some([ServerBuilder::new().url("/").build()])).build()
}

/// The description with what answers have in common.
pub(crate) fn complete(mut openapi: OpenApi) -> OpenApi {
    let components = openapi.components.get_or_insert_default();
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.schemas.insert(FieldError::name().into_owned(), FieldError::schema());
    for (path, item) in &mut openapi.paths.paths {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().filter_map(Option::as_mut) {
            complete_operation(path, operation);
        }
    }
    openapi
}

/// The description as it is served.
pub(crate) fn to_json(openapi: &OpenApi) -> String {
    let json = openapi.to_pretty_json().expect("a description is plain data");
    json + "\n"
}

fn complete_operation(path: &str, operation: &mut Operation) {
    let mut common = OF_ALL.to_vec();
    if operation.request_body.is_some() {
        common.extend(OF_BODIES);
    }
    if path.contains('{') {
        common.extend(OF_THINGS);
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in common {
        let response = || RefOr::T(ResponseBuilder::new().description(description).build());
        responses.entry(status.to_owned()).or_insert_with(response);
    }
    for (status, response) in responses {
        if let RefOr::T(response) = response {
            complete_response(status, response);
        }
    }
}

fn complete_response(status: &str, response: &mut Response) {
    if status.starts_with(['4', '5']) && response.content.is_empty() {
        let problem = Content::new(Some(Ref::from_schema_name(Problem::name())));
        response.content.insert("application/problem+json".to_owned(), problem.into());
    }
    let mut header = Header::new(Object::with_type(Type::String));
    header.description = Some("The id of the request, as in the logs: the client's own, or a new one.".to_owned());
    response.headers.insert("X-Request-Id".to_owned(), header.into());
}
