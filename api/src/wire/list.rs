//! A part of a list as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// What is in it.
    pub data: Vec<T>,
    /// What to give as `cursor` for the next part; absent after the last one.
    #[schema(required)]
    pub next_cursor: Option<String>,
}
