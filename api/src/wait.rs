//! Waiting for a job on behalf of a client: `Prefer: wait=n` (RFC 7240 §4.3).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use domain::JobId;
use jobs::Job;
use tokio::time::Instant;

use crate::ApiState;
use crate::error::ApiError;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Says in the answer how long was waited at most.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The longest wait, and that of a client that does not say how long: proxies give up at 60 s.
const MAX_WAIT_SECONDS: u64 = 60;

/// How long a client wants to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    seconds: u64,
}

impl Wait {
    /// What the request prefers. A preference that does not read is no preference, as the RFC has it.
    pub(crate) fn preferred(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        let wait = values.flat_map(|value| value.split(',')).find_map(|preference| {
            let preference = preference.split(';').next()?;
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"'))
        })?;
        let seconds = if wait.is_empty() { MAX_WAIT_SECONDS } else { wait.parse().ok()? };
        Some(Self { seconds: seconds.min(MAX_WAIT_SECONDS) })
    }

    /// The header that tells what was made of the preference.
    pub(crate) fn applied(self) -> (HeaderName, HeaderValue) {
        let text = format!("wait={}", self.seconds);
        (PREFERENCE_APPLIED, HeaderValue::from_str(&text).expect("digits and letters"))
    }

    /// When the wait is over, if it begins now.
    pub(crate) fn deadline(self) -> Instant {
        Instant::now() + Duration::from_secs(self.seconds)
    }
}

/// Reads the job again and again until it has ended, or the deadline has passed: the job as it stands then.
pub(crate) async fn wait_for_end(
    state: &ApiState,
    mut job: Job,
    owner: Option<&str>,
    deadline: Instant,
) -> Result<Job, ApiError> {
    while !job.status.is_terminal() && wait_for_change(state, job.id, job.version, deadline).await? {
        job = state.jobs.get_of(owner, job.id).await?.ok_or(ApiError::NO_SUCH_JOB)?;
    }
    Ok(job)
}

/// Returns true as soon as the job is not at `version` any more, and false at the deadline or when the server ends.
pub(crate) async fn wait_for_change(
    state: &ApiState,
    id: JobId,
    version: u64,
    deadline: Instant,
) -> Result<bool, ApiError> {
    // Before the first look: what happens after it is told.
    let mut watch = state.jobs.watch(id);
    loop {
        // A job that is gone is not at that version either.
        if state.jobs.version(id).await? != Some(version) {
            return Ok(true);
        }
        let changed = state.closing.run_until_cancelled(watch.changed(deadline)).await;
        if changed != Some(true) {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_preference_as_the_rfc_writes_it() {
        let seconds = |lines: &[&str]| {
            let headers = lines.iter().map(|line| (PREFER, line.parse().expect("a value"))).collect();
            Wait::preferred(&headers).map(|wait| wait.seconds)
        };
        for (lines, expected) in [
            (&["wait=5"][..], Some(5)),
            (&["wait"], Some(60)),
            (&["Wait = \"7\"; x=y"], Some(7)),
            (&["respond-async, wait=0"], Some(0)),
            (&["respond-async", "wait=3", "wait=4"], Some(3)),
            (&["wait=100000"], Some(60)),
            (&["wait=soon"], None),
            (&["wait=-1"], None),
            (&["waiting=5"], None),
            (&[], None),
        ] {
            assert_eq!(seconds(lines), expected, "{lines:?}");
        }
    }
}
