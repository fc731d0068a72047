//! The fields of a request, read so that all mistakes can be told at once.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::json_body::pointer;
use crate::wire::FieldError;

/// A field as the client wrote it. One of the wrong type is kept as what is wrong with it, so that the fields after it are
/// read too.
#[derive(Debug, Default)]
pub(crate) enum Field<T> {
    /// Not there, or `null`.
    #[default]
    Absent,
    /// Of the right type.
    Given(T),
    /// Of another type: where in the field, as a JSON pointer, and why.
    Wrong { pointer: String, detail: String },
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.is_null() {
            return Ok(Self::Absent);
        }
        Ok(match serde_path_to_error::deserialize(value) {
            Ok(value) => Self::Given(value),
            Err(error) => Self::Wrong { pointer: pointer(error.path()), detail: error.inner().to_string() },
        })
    }
}

impl<T> Field<T> {
    /// The value of the field at `at`, if it is there.
    pub(crate) fn optional(self, at: &str) -> Result<Option<T>, FieldError> {
        match self {
            Self::Absent => Ok(None),
            Self::Given(value) => Ok(Some(value)),
            Self::Wrong { pointer, detail } => Err(FieldError::new(format!("{at}{pointer}"), detail)),
        }
    }

    /// The value of the field at `at`, which must be there.
    pub(crate) fn required(self, at: &str) -> Result<T, FieldError> {
        self.optional(at)?.ok_or_else(|| FieldError::new(at, "is required"))
    }
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<FieldError>);

impl Mistakes {
    /// Keeps a mistake and goes on.
    pub(crate) fn note<T>(&mut self, read: Result<T, FieldError>) -> Option<T> {
        read.map_err(|error| self.0.push(error)).ok()
    }

    /// Reads a field that may be absent.
    pub(crate) fn optional<V, T, E: std::fmt::Display>(
        &mut self,
        at: &str,
        field: Field<V>,
        read: impl FnOnce(V) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.note(field.optional(at)).flatten()?;
        self.note(read(value).map_err(|error| FieldError::new(at, error)))
    }

    /// Keeps all of several mistakes and goes on.
    pub(crate) fn all<T>(&mut self, read: Result<T, Vec<FieldError>>) -> Option<T> {
        read.map_err(|errors| self.0.extend(errors)).ok()
    }

    /// Whether there were none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Mistakes> for Vec<FieldError> {
    fn from(mistakes: Mistakes) -> Self {
        mistakes.0
    }
}
