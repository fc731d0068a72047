//! Sets of names that the code has as lists, as schemas.

use domain::Strategy;
use jobs::{DeliveryStatus, DisabledReason, EventKind, TEST_EVENT, WEBHOOK_EVENTS};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::wire::AUTO;

/// What is told of a running job and not kept.
pub(super) const LIVE_EVENTS: [&str; 2] = ["stage.progress", "stage.delta"];

/// Makes a type that stands for one of the names in the description, and nowhere else.
macro_rules! names {
    ($($(#[doc = $doc:literal])+ $name:ident = $names:expr;)+) => {$(
        $(#[doc = $doc])+
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                one_of(concat!($($doc),+).trim(), $names)
            }
        }

        impl ToSchema for $name {}
    )+};
}

names! {
    /// How the repository is shown to the model: by its size, or the name of a strategy.
    StrategyName = [AUTO].into_iter().chain(Strategy::ALL.map(Strategy::as_str));
    /// What happened to a job.
    EventName = EventKind::ALL.iter().map(|kind| kind.as_str());
    /// What is told of a running job.
    LiveEventName = LIVE_EVENTS.into_iter();
    /// What a webhook can be told of.
    WebhookEventName = WEBHOOK_EVENTS.into_iter().map(EventKind::as_str);
    /// What a message tells of.
    MessageName = WEBHOOK_EVENTS.into_iter().map(EventKind::as_str).chain([TEST_EVENT]);
    /// What a test is.
    TestName = [TEST_EVENT].into_iter();
    /// Where a delivery stands.
    DeliveryStatusName = DeliveryStatus::ALL.into_iter().map(DeliveryStatus::as_str);
    /// What became of deliveries that are to be sent again.
    ReplayStatusName = [DeliveryStatus::Failed, DeliveryStatus::Delivered].into_iter().map(DeliveryStatus::as_str);
    /// Why tinygen disabled a webhook.
    DisabledReasonName = DisabledReason::ALL.into_iter().map(DisabledReason::as_str);
}

/// A text that is one of these.
pub(super) fn one_of(description: &str, names: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    let schema = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    Schema::from(schema.enum_values(Some(names))).into()
}
