//! One page of a list of deliveries.

use axum::extract::FromRequestParts;
use axum::extract::Query;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jobs::{Delivery, DeliveryFilter, DeliveryId};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::ApiError;
use crate::openapi::DeliveryStatusName;
use crate::wire::{DeliveryBody, FieldError, Page};

/// Deliveries on a page that does not say how many.
const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// The page of a list of deliveries that a client wants to see.
pub(super) struct DeliveriesPage(DeliveryFilter);

/// What the client writes behind the question mark.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveriesQuery {
    /// Only those with this status.
    #[param(value_type = Option<DeliveryStatusName>)]
    status: Option<String>,
    /// How many at most; 20 when absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `nextCursor` of the part before.
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for DeliveriesPage {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let invalid = |field: &str, detail: String| ApiError::InvalidQuery(vec![FieldError::in_query(field, detail)]);
        let Query(query): Query<DeliveriesQuery> = Query::from_request_parts(parts, state)
            .await
            .map_err(|error| ApiError::InvalidQuery(vec![FieldError::nowhere(error.body_text())]))?;
        let status = query.status.map(|name| name.parse()).transpose();
        let status = status.map_err(|error: jobs::UnknownDeliveryStatus| invalid("status", error.to_string()))?;
        let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(invalid("limit", format!("must be 1 to {MAX_LIMIT}")));
        }
        let before = query.cursor.map(|cursor| read_cursor(&cursor)).transpose()?;
        Ok(Self(DeliveryFilter { status, before, limit }))
    }
}

impl DeliveriesPage {
    /// What to ask the store for: one more, to know whether there is a next page.
    pub(super) fn filter(&self) -> DeliveryFilter {
        DeliveryFilter { limit: self.0.limit + 1, ..self.0 }
    }

    /// The page, of what the store gave.
    pub(super) fn of(&self, mut deliveries: Vec<Delivery>) -> Page<DeliveryBody> {
        let limit = self.0.limit as usize;
        let has_more = deliveries.len() > limit;
        deliveries.truncate(limit);
        let last = deliveries.last().filter(|_| has_more);
        Page {
            next_cursor: last.map(|delivery| URL_SAFE_NO_PAD.encode(delivery.id.to_string())),
            data: deliveries.iter().map(DeliveryBody::new).collect(),
        }
    }
}

fn read_cursor(cursor: &str) -> Result<DeliveryId, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| ApiError::BadCursor)?;
    String::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or(ApiError::BadCursor)
}
