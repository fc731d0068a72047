//! Every `code` that a problem can have: the table that the documentation shows.

use std::fmt::Write as _;

use axum::http::StatusCode;
use domain::FailureCode;

use super::problem;

/// A code of an answer to a request.
pub(crate) struct ErrorCode {
    /// The status of the answer.
    pub(crate) status: u16,
    /// The `code` of the problem.
    pub(crate) code: &'static str,
    /// What it means and what to do, in Markdown.
    pub(crate) meaning: &'static str,
}

impl ErrorCode {
    /// Every code, by status.
    pub(crate) fn all() -> &'static [Self] {
        &REQUEST_CODES
    }
}

const fn code(status: u16, code: &'static str, meaning: &'static str) -> ErrorCode {
    ErrorCode { status, code, meaning }
}

/// The codes of requests, by status.
static REQUEST_CODES: [ErrorCode; 30] = [
    code(400, "malformed_json", "The body is not JSON."),
    code(400, "invalid_parameter", "A parameter of the query is unknown, repeated or wrong: see `errors[].parameter`."),
    code(400, "invalid_header", "A header is wrong: see `errors[].header`."),
    code(400, "bad_cursor", "The `cursor` is none that this server gave."),
    code(400, "bad_last_event_id", "`Last-Event-ID` names no event of the job."),
    code(401, "unauthenticated", "There is no API key with the request, or it does not hold: see `detail`."),
    code(403, "cross_origin", "A web page of another origin sent the request."),
    code(
        403,
        "foreign_host",
        "Without a key, `Host` must be an address or `localhost`: a web page may be behind any other name.",
    ),
    code(403, "insufficient_scope", "The API key is not allowed to do that; `detail` names the scope it needs."),
    code(404, "not_found", "There is no such job, stage or address, or it is somebody else's."),
    code(405, "method_not_allowed", "The address does not take that method."),
    code(406, "not_acceptable", "There is nothing here that `Accept` takes."),
    code(408, "request_timeout", "The body did not arrive in time."),
    code(409, "no_diff", "The job ended without a diff; `detail` says why."),
    code(409, "not_terminal", "The job has not ended, so it cannot be run again."),
    code(409, "webhook_disabled", "The webhook is disabled: enable it first."),
    code(409, "too_many_webhooks", "The owner has as many webhooks as one may have: delete one first."),
    code(410, "purged", "The job was deleted, or is older than jobs are kept."),
    code(413, "body_too_large", "The body is larger than 64 KiB."),
    code(415, "unsupported_media_type", "The body is something else than JSON."),
    code(422, "invalid_field", "Fields are missing, unknown or wrong: see `errors[].pointer`."),
    code(422, "unsupported_repo_url", "`repoUrl` is not an address tinygen reads repositories from."),
    code(422, "blocked_address", "`repoUrl` or a webhook's URL leads to a host this server does not talk to."),
    code(422, "idempotency_key_reused", "The `Idempotency-Key` was used for another request before."),
    code(429, "rate_limited", "Too many requests; `Retry-After` says when to try again."),
    code(429, "quota_exceeded", "The key's quota is used up; `violated-policies` names it."),
    code(429, "queue_full", "Too many jobs wait already; `Retry-After` says when to try again."),
    code(500, "internal", "A defect in tinygen; it is logged under `requestId`."),
    code(503, "storage_unavailable", "The database does not answer; `Retry-After` says when to try again."),
    code(
        503,
        "too_many_streams",
        "Too many streams of events are open on this server: poll the job, or try again later.",
    ),
];

/// Whether the table has the code with this status.
pub(super) fn is_listed(status: StatusCode, code: &str) -> bool {
    REQUEST_CODES.iter().any(|row| row.code == code && row.status == status.as_u16())
        || FailureCode::ALL.iter().any(|failure| failure.as_str() == code && problem::status(*failure) == status)
}

/// The codes of requests, then those of jobs, as two tables in Markdown.
pub fn error_table() -> String {
    let mut table = String::from("| HTTP status | `code` of an answer | meaning |\n|---|---|---|\n");
    for ErrorCode { status, code, meaning } in &REQUEST_CODES {
        writeln!(table, "| {status} | `{code}` | {meaning} |").expect("a String takes every write");
    }
    table.push_str("\n| `status` | `code` of a job's `error` | tried again | meaning |\n|---|---|---|---|\n");
    for failure in FailureCode::ALL {
        let (status, retried) = (problem::status(*failure).as_u16(), if failure.is_retryable() { "yes" } else { "no" });
        writeln!(table, "| {status} | `{failure}` | {retried} | {} |", failure.meaning())
            .expect("a String takes every write");
    }
    table
}
