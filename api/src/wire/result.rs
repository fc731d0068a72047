//! The result of a job, for the API and for `tinygen run --json`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{FileChange, Flag, JobResult, Outcome, Receipt};
use serde::Serialize;
use utoipa::ToSchema;

/// The result of a job that succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultBody {
    /// Whether there is a diff.
    pub outcome: Outcome,
    /// What `git apply` takes; empty when no change was needed, absent in a list of jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub diff: Option<String>,
    /// How `diff` is written; absent when it is the text itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub diff_encoding: Option<DiffEncoding>,
    /// The proof that goes with the diff.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// The files the diff touches, by path.
    pub files: Vec<FileChange>,
    /// What was done and why, for a person.
    pub summary: String,
    /// A commit message that fits the diff.
    pub suggested_commit_message: String,
    /// What a person should look at before using the diff.
    pub flags: Vec<Flag>,
    /// Whether a review approved exactly this diff and every machine check passed.
    pub verified: bool,
}

/// How a diff that is not text is put into JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DiffEncoding {
    /// RFC 4648 §4, with padding. A diff holds the lines of files as they are, and those need not be UTF-8.
    Base64,
}

impl ResultBody {
    /// The result with the bytes of its diff, which are stored beside it.
    pub fn from_result(result: &JobResult, diff: &[u8]) -> Self {
        let (diff, diff_encoding) = match std::str::from_utf8(diff) {
            Ok(text) => (text.to_owned(), None),
            Err(_) => (STANDARD.encode(diff), Some(DiffEncoding::Base64)),
        };
        Self { diff: Some(diff), diff_encoding, ..Self::without_diff(result) }
    }

    /// The result without its diff.
    pub fn without_diff(result: &JobResult) -> Self {
        Self {
            outcome: result.outcome,
            diff: None,
            diff_encoding: None,
            receipt: result.receipt.clone(),
            files: result.files.clone(),
            summary: result.summary.clone(),
            suggested_commit_message: result.suggested_commit_message.clone(),
            flags: result.flags.clone(),
            verified: result.verified,
        }
    }
}
