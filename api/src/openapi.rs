//! The description of the API (`OpenAPI` 3.1), made from the routes themselves.
//!
//! Each handler describes what is its own: parameters, bodies, the answers of success, and in `x-problems` the codes of
//! the problems that only it has. What many answers have in common is put in here, once.

mod headers;
mod links;
mod names;
mod problems;
mod share;
mod stream;
mod texts;
mod webhooks;

use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, License, OpenApi, OpenApiBuilder, RefOr, Schema, ServerBuilder};

pub(crate) use names::{
    DeliveryStatusName, DisabledReasonName, EventName, LiveEventName, MessageName, ReplayStatusName, StrategyName,
    TestName, WebhookEventName,
};
pub(crate) use stream::StreamMessage;
pub(crate) use texts::{GitRefText, Metadata, MetadataFilter, PathPatternText, RepoUrlText, StageText, WebhookUrlText};
pub(crate) use webhooks::WebhookPayload;

const ABOUT: &str = "A Git repository and a prompt in, a unified diff out.

These paths are version 1: they change by addition only. Unknown fields of a request are refused. Errors are problem \
details (RFC 9457); programs branch on `code`. `POST /analyze`, without the slash at the end, is `POST /analyze/`; \
`HEAD` is `GET` without the body.

A server is open until its first API key is made; from then on every request but those for health and this description \
needs one.

Web pages of the origins that the operator names may use all of it: `OPTIONS` then answers the preflight requests of \
browsers, and answers have the headers of CORS.

What is no request of HTTP/1.1, or has a head that is too long, gets 400, 414 or 431 without a body.";

const ABOUT_KEYS: &str = "An API key, as `POST /keys` or `tinygen keys create` shows it once. The scope that a request \
needs is named beside it. An open server needs none.";

/// The name of the security scheme, and what keys begin with.
const KEY: &str = "key";
const KEY_FORMAT: &str = "tg_…";

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

/// Adds to routes that are guarded that an open server needs no key.
pub(crate) fn describe_guard(openapi: &mut OpenApi) {
    for_each_operation(&mut openapi.paths, |_, _, operation| {
        operation.security.get_or_insert_default().insert(0, SecurityRequirement::default());
    });
}

/// Adds what answers have in common, and what webhooks are sent.
pub(crate) fn complete(openapi: &mut OpenApi) {
    let components = openapi.components.get_or_insert_default();
    for_each_operation(&mut openapi.paths, |path, method, operation| {
        let is_guarded = operation.security.is_some();
        for response in responses(operation) {
            headers::settle(response);
            headers::add(response, headers::OF_ALL);
            headers::add(response, if is_guarded { headers::OF_GUARDED } else { &[] });
        }
        problems::describe(path, method, operation, components);
        links::describe(operation, components);
        headers::settle_parameters(operation);
    });
    problems::add_schemas(components);
    headers::add_components(components);
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format(KEY_FORMAT);
    components.add_security_scheme(KEY, SecurityScheme::Http(scheme.description(Some(ABOUT_KEYS)).build()));
    // It keeps what it does not know, to report all of it at once: the derive takes that for permission.
    if let Some(RefOr::T(Schema::Object(body))) = components.schemas.get_mut("CreateJob") {
        body.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
    openapi.webhooks = Some(webhooks::describe(components));
    share::refer_to_items(components);
    share::share(openapi);
}

/// The description as it is served.
pub(crate) fn to_json(openapi: &OpenApi) -> String {
    let json = openapi.to_pretty_json().expect("a description is plain data");
    json + "\n"
}

fn for_each_operation(paths: &mut Paths, mut change: impl FnMut(&str, &str, &mut Operation)) {
    for (path, item) in &mut paths.paths {
        let PathItem { get, post, patch, delete, .. } = item;
        for (method, operation) in [("get", get), ("post", post), ("patch", patch), ("delete", delete)] {
            if let Some(operation) = operation {
                change(path, method, operation);
            }
        }
    }
}

fn responses(operation: &mut Operation) -> impl Iterator<Item = &mut utoipa::openapi::Response> {
    operation.responses.responses.values_mut().filter_map(|response| match response {
        RefOr::T(response) => Some(response),
        RefOr::Ref(_) => None,
    })
}
