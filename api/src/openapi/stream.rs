//! The messages of an event stream, under `text/event-stream` of the description.
//!
//! `OpenAPI` 3.1 has no word for a body that is a row of messages; its schema is that of one message, with its fields by
//! their names, which is what `OpenAPI` 3.2 puts under `itemSchema`.

use jobs::EventKind;
use utoipa::openapi::{ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::names::{LIVE_EVENTS, one_of};
use crate::wire::StreamedEvent;

const ABOUT: &str = "One message of a stream (WHATWG HTML §9.2), with its fields. The stream begins with `retry: 2000`, and \
a comment breaks a silence of 15 s.";

const ABOUT_ID: &str =
    "The event's `seq`: what to send as `Last-Event-ID`. What is told of a running job has none of its own.";

/// One message of a stream. This type is only its form.
pub(crate) struct StreamMessage;

impl PartialSchema for StreamMessage {
    fn schema() -> RefOr<Schema> {
        let names = EventKind::ALL.iter().map(|kind| kind.as_str()).chain(LIVE_EVENTS);
        let id = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]+$")).description(Some(ABOUT_ID));
        let data = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The event, as JSON on one line."))
            .content_media_type("application/json")
            .content_schema(Some(Ref::from_schema_name(StreamedEvent::name())));
        let message = ObjectBuilder::new()
            .description(Some(ABOUT))
            .property("id", id)
            .property("event", one_of("What happened: the `type` of the data.", names))
            .property("data", data)
            .required("event")
            .required("data");
        Schema::from(message).into()
    }
}

impl ToSchema for StreamMessage {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((StreamedEvent::name().into_owned(), StreamedEvent::schema()));
        StreamedEvent::schemas(schemas);
    }
}
