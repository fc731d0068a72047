//! The fields that a webhook has, wherever it is given.

use domain::WebhookUrl;
use egress::Egress;
use jobs::{DEFAULT_WEBHOOK_EVENTS, EventKind, JobWebhook, WEBHOOK_EVENTS};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::field::Mistakes;
use crate::openapi::{WebhookEventName, WebhookUrlText};
use crate::wire::{FieldError, FieldErrorKind};

/// Longest description, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 1024;

/// A webhook that a job brings along.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookField {
    /// Where messages go.
    #[schema(value_type = WebhookUrlText, required)]
    url: Option<String>,
    /// What it is told of; the ends of the job when absent.
    #[schema(value_type = Option<Vec<WebhookEventName>>, min_items = 1)]
    events: Option<Vec<String>>,
}

/// Reads a webhook that a job brings along; reports everything that is wrong.
pub(crate) fn read_job_webhook(field: WebhookField, egress: &Egress) -> Result<JobWebhook, Vec<FieldError>> {
    let mut mistakes = Mistakes::default();
    let url = mistakes.note(read_url("/webhook/url", field.url, egress));
    let events = mistakes.note(read_events("/webhook/events", field.events));
    let (Some(url), Some(events)) = (url, events) else { return Err(mistakes.into()) };
    Ok(JobWebhook { url, events })
}

pub(super) fn read_url(pointer: &str, text: Option<String>, egress: &Egress) -> Result<WebhookUrl, FieldError> {
    let text = text.ok_or_else(|| FieldError::new(pointer, "is required"))?;
    let url = WebhookUrl::parse(&text).map_err(|rule| FieldError::new(pointer, rule))?;
    let blocked = |rule| FieldError { kind: FieldErrorKind::BlockedAddress, ..FieldError::new(pointer, rule) };
    egress.check(url.as_url()).map_err(blocked)?;
    Ok(url)
}

/// Reads the names of events; those of the ends of jobs when there are none given.
pub(super) fn read_events(pointer: &str, names: Option<Vec<String>>) -> Result<Vec<EventKind>, FieldError> {
    let Some(names) = names else { return Ok(DEFAULT_WEBHOOK_EVENTS.to_vec()) };
    let unknown = names.iter().enumerate().find(|(_, name)| !WEBHOOK_EVENTS.iter().any(|kind| kind.as_str() == *name));
    if let Some((index, name)) = unknown {
        let known: Vec<&str> = WEBHOOK_EVENTS.iter().map(|kind| kind.as_str()).collect();
        let detail = format!("`{name}` is no event of webhooks: use some of {}", known.join(", "));
        return Err(FieldError::new(format!("{pointer}/{index}"), detail));
    }
    if names.is_empty() {
        return Err(FieldError::new(pointer, "must name at least one event"));
    }
    Ok(WEBHOOK_EVENTS.into_iter().filter(|kind| names.iter().any(|name| name == kind.as_str())).collect())
}

pub(super) fn read_description(text: String) -> Result<String, FieldError> {
    if text.len() > MAX_DESCRIPTION_BYTES {
        return Err(FieldError::new("/description", format!("is longer than {MAX_DESCRIPTION_BYTES} bytes")));
    }
    // PostgreSQL stores no text with it.
    if text.contains('\0') {
        return Err(FieldError::new("/description", "must not hold the character U+0000"));
    }
    Ok(text)
}
