//! A stage of a job as the API shows it.

use domain::JobStatus;
use jobs::{Job, StageSummary};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Timestamp, UsageBody};

/// What a segment of a path may not hold as it is: all but the unreserved characters (RFC 3986 §2.3) and the colon.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// One stage of a job.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageBody {
    /// `plan`, or `edit:src/main.rs` for a stage that runs once per item.
    pub name: String,
    /// `succeeded` when it is done; else it stands where the job stands.
    pub status: JobStatus,
    /// When its work began, in the latest attempt that worked on it.
    pub started_at: Timestamp,
    /// When it was done and stored.
    #[schema(required)]
    pub finished_at: Option<Timestamp>,
    /// From the one to the other, in milliseconds.
    #[schema(required)]
    pub duration_ms: Option<u64>,
    /// Where its output is, as a path on this server.
    #[schema(required)]
    pub output: Option<String>,
    /// Size of its output, in bytes of JSON.
    #[schema(required)]
    pub output_bytes: Option<u64>,
    /// Its calls to the model.
    pub calls: u64,
    /// What they used and cost so far.
    pub usage: UsageBody,
}

impl StageBody {
    /// A stage of this job.
    pub fn new(job: &Job, stage: &StageSummary) -> Self {
        let name = stage.key.to_string();
        let duration = stage.finished_at.map(|finished_at| (finished_at - stage.started_at).num_milliseconds());
        let output = || format!("/jobs/{}/stages/{}", job.id, utf8_percent_encode(&name, SEGMENT));
        Self {
            status: stage_status(job.status, stage),
            started_at: stage.started_at.into(),
            finished_at: stage.finished_at.map(Timestamp),
            // Two workers' clocks may disagree, and time does not run backwards for a client.
            duration_ms: duration.map(|ms| u64::try_from(ms).unwrap_or(0)),
            output: stage.finished_at.map(|_| output()),
            output_bytes: stage.output_bytes,
            calls: stage.calls,
            usage: UsageBody::new(stage.usage, stage.cost),
            name,
        }
    }
}

fn stage_status(job: JobStatus, stage: &StageSummary) -> JobStatus {
    match job {
        _ if stage.finished_at.is_some() => JobStatus::Succeeded,
        // The job went another way.
        JobStatus::Succeeded => JobStatus::Canceled,
        status => status,
    }
}
