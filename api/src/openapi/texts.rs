//! What requests give as text and the code reads by rules of its own, as schemas: as much of the rules as a schema can say.

use domain::{MAX_METADATA_BYTES, MAX_METADATA_PAIRS, MAX_PATTERN_BYTES, StageKind};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Longest address of a repository or a webhook.
const MAX_URL_BYTES: usize = 2048;

/// Longest name of a branch, a tag or a commit.
const MAX_REF_BYTES: usize = 255;

/// PostgreSQL stores no text with it.
const NO_NUL: &str = r"^[^\x00]*$";

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
    /// A branch, a tag or a full commit id, by the rules of `git check-ref-format`.
    GitRefText = text(MAX_REF_BYTES).pattern(Some(
        r"^[^\x00-\x20\x7f-\x9f~^:?*\[\\/.-]([^\x00-\x20\x7f-\x9f~^:?*\[\\]*[^\x00-\x20\x7f-\x9f~^:?*\[\\/.])?$",
    ));
    /// A pattern as in a line of a `.gitignore` file.
    PathPatternText = text(MAX_PATTERN_BYTES).pattern(Some(r"^[^!\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"));
    /// A stage as a job names it, such as `plan` or `edit:src/main.rs`.
    StageText = ObjectBuilder::new().schema_type(Type::String).pattern(Some(format!(
        r"^({})(:[^\x00]*)?$",
        StageKind::ALL.map(StageKind::as_str).join("|"),
    )));
    /// Names with a text each, of up to 512 bytes of UTF-8, which come back with the job.
    Metadata = ObjectBuilder::new()
        .property_names(Some(Schema::from(text(MAX_METADATA_BYTES).min_length(Some(1)).pattern(Some(NO_NUL)))))
        .additional_properties(Some(Schema::from(text(MAX_METADATA_BYTES).pattern(Some(NO_NUL)))))
        .max_properties(Some(MAX_METADATA_PAIRS));
    /// Names with the text that a job has under each.
    MetadataFilter = ObjectBuilder::new()
        .property_names(Some(Schema::from(ObjectBuilder::new().schema_type(Type::String).pattern(Some(NO_NUL)))))
        .additional_properties(Some(Schema::from(
            ObjectBuilder::new().schema_type(Type::String).pattern(Some(NO_NUL)),
        )));
}

/// A text of at most so many bytes; a schema can count only characters.
fn text(max_bytes: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).max_length(Some(max_bytes))
}
