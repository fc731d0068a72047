//! What the API says, as JSON: the bodies that several routes, and the command line, have in common.

mod error_code;
mod event;
mod job;
mod key;
mod list;
mod problem;
mod queue_stats;
mod result;
mod stage;
mod timestamp;
mod usage;
mod webhook;

pub(crate) use error_code::ErrorCode;
pub use error_code::error_table;
pub use event::{EventBody, EventPage, LiveEventBody, LiveNewsBody, StreamedEvent};
pub(crate) use job::{AUTO, poll_after_seconds};
pub use job::{JobBody, JobLinks, JobReceipt};
pub use key::{KeyBody, LimitsBody, NewKeyBody};
pub use list::Page;
pub(crate) use problem::FieldErrorKind;
pub use problem::{FieldError, Problem};
pub use queue_stats::QueueStatsBody;
pub use result::{DiffEncoding, ResultBody};
pub use stage::StageBody;
pub use timestamp::Timestamp;
pub use usage::UsageBody;
pub use webhook::{
    AttemptBody, DeliveryBody, DeliveryDetailBody, NewWebhookBody, SecretBody, WebhookBody, WebhookLinks,
};
