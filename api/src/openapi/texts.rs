//! What requests give as text and the code reads by rules of its own, as schemas: as much of the rules as a schema can say.

use domain::{MAX_METADATA_BYTES, MAX_METADATA_PAIRS, MAX_PATTERN_BYTES};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Longest address of a repository or a webhook.
const MAX_URL_BYTES: usize = 2048;

/// Makes a type that stands for a text in the description, and nowhere else.
macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident = $schema:expr;)+) => {$(
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                Schema::from($schema.description(Some(concat!($($doc),+).trim()))).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

texts! {
    /// The address of a Git repository: `https://` with a host and a path, without credentials and query.
    RepoUrlText = text(MAX_URL_BYTES).pattern(Some(r"^[Hh][Tt][Tt][Pp][Ss]?://[^/\\?#@\s]+/[^?#\\\s]+$"));
    /// The address of a receiver: `https://` with a host, without credentials and fragment.
    WebhookUrlText = text(MAX_URL_BYTES).pattern(Some(r"^[Hh][Tt][Tt][Pp][Ss]?://[^/\\#@%\s][^\\#\s]*$"));
    /// A pattern as in a line of a `.gitignore` file.
    PathPatternText = text(MAX_PATTERN_BYTES).pattern(Some("^[^!]"));
    /// Names with a text each, of up to 512 bytes of UTF-8, which come back with the job.
    Metadata = ObjectBuilder::new()
        .property_names(Some(Schema::from(text(MAX_METADATA_BYTES).min_length(Some(1)))))
        .additional_properties(Some(Schema::from(text(MAX_METADATA_BYTES))))
        .max_properties(Some(MAX_METADATA_PAIRS));
}

/// A text of at most so many bytes; a schema can count only characters.
fn text(max_bytes: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).max_length(Some(max_bytes))
}
