//! What a job that succeeded leaves behind.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{CommitId, RepoPath};

/// How a job succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There is a diff.
    Changed,
    /// The model showed that the code already does what was asked; the diff is empty.
    NoChangeNeeded,
}

impl Outcome {
    /// The name used in SQL, JSON and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::NoChangeNeeded => "no_change_needed",
        }
    }
}

/// The proof that goes with a diff: applied to `base_tree`, the patch gives exactly `result_tree`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The commit the job worked on.
    #[schema(value_type = String, pattern = "^[0-9a-f]{40}$")]
    pub base_commit: CommitId,
    /// Id of its tree, in hexadecimal.
    pub base_tree: String,
    /// Id of the edited tree, in hexadecimal.
    pub result_tree: String,
    /// SHA-256 of the diff's bytes, in hexadecimal.
    pub patch_sha256: String,
}

/// The result of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobResult {
    /// Whether there is a diff.
    pub outcome: Outcome,
    /// What `git apply` takes: bytes, because files need not be UTF-8. Stored beside the rest, not in its JSON.
    #[serde(skip)]
    pub diff: Vec<u8>,
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

/// One file of a diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileChange {
    /// Where the file is after the change; before it when it was deleted.
    #[schema(value_type = String)]
    pub path: RepoPath,
    /// Where it was, when it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub old_path: Option<RepoPath>,
    /// What happened to it.
    pub kind: FileChangeKind,
    /// Lines added; 0 for a binary file.
    pub additions: u64,
    /// Lines removed; 0 for a binary file.
    pub deletions: u64,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// It has another content or mode.
    Modified,
    /// It has another path.
    Renamed,
}

/// Something in a diff that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Flag {
    /// What it is.
    pub kind: FlagKind,
    /// Where it is.
    #[schema(value_type = String)]
    pub path: RepoPath,
    /// Line of the file after the change, from 1; absent when the whole file is meant.
    pub line: Option<u64>,
    /// What was seen, without any secret in it.
    pub note: String,
}

/// What a [`Flag`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlagKind {
    /// Continuous integration runs this file.
    Ci,
    /// Coding agents read this file as instructions or run it.
    AgentConfig,
    /// Building or installing the project runs this file.
    RunsOnBuild,
    /// Dependencies, registries or code owners.
    SupplyChain,
    /// Characters that a reader cannot see or that reorder the line.
    HiddenUnicode,
    /// Something that looks like a secret was added.
    SecretAdded,
    /// An address that was nowhere in the repository before.
    NewUrl,
    /// A file that the plan did not name.
    Unplanned,
    /// A machine check that failed and was not repaired.
    CheckFailed,
    /// A finding of the review that was not repaired.
    ReviewFinding,
}

impl fmt::Display for FlagKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ci => "ci",
            Self::AgentConfig => "agent_config",
            Self::RunsOnBuild => "runs_on_build",
            Self::SupplyChain => "supply_chain",
            Self::HiddenUnicode => "hidden_unicode",
            Self::SecretAdded => "secret_added",
            Self::NewUrl => "new_url",
            Self::Unplanned => "unplanned",
            Self::CheckFailed => "check_failed",
            Self::ReviewFinding => "review_finding",
        })
    }
}
