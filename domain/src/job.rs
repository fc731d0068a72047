//! A job: one request, and where it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Cost, Effort, GitRef, PathFilter, PathPattern, Priority, RepoUrl, Strategy};

/// Longest prompt a job may carry, in bytes.
pub const MAX_PROMPT_BYTES: usize = 32 * 1024;

/// How long a job may be worked on when it does not say, in seconds.
pub const DEFAULT_TIMEOUT_SECONDS: u32 = 1_800;

/// The longest that a job may ask to be worked on: a day, in seconds.
pub const MAX_TIMEOUT_SECONDS: u32 = 86_400;

/// The most tries that a job may ask for.
pub const MAX_ATTEMPTS: u32 = 10;

/// The most pairs of metadata a job may carry.
pub const MAX_METADATA_PAIRS: usize = 16;

/// The longest name, and the longest value, of a pair of metadata, in bytes.
pub const MAX_METADATA_BYTES: usize = 512;

/// The most patterns in each of a job's two lists.
pub const MAX_PATH_PATTERNS: usize = 64;

/// The name of a job: a UUID v7 (RFC 9562), so ids sort by creation time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    /// Makes a new id, later than every id this process made before.
    #[expect(clippy::new_without_default, reason = "a new id is a side effect, not a default value")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id as the databases bind it.
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for JobId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(text).map(Self)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// What was asked. It never changes after the job is created.
///
/// Stored as JSON in the job's row: a new field must have a serde default, so that old rows still read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSpec {
    /// Where the repository is.
    pub repo_url: RepoUrl,
    /// The user's text: what should change.
    pub prompt: String,
    /// Branch, tag or full commit id; the repository's default branch when absent.
    #[serde(default, rename = "ref")]
    pub git_ref: Option<GitRef>,
    /// Model id; the server's default when absent.
    #[serde(default)]
    pub model: Option<String>,
    /// How hard the model should work; the model's own default when absent.
    #[serde(default)]
    pub effort: Option<Effort>,
    /// How the repository is shown to the model; chosen by size when absent.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// The most this job may cost, over all its attempts.
    #[serde(default)]
    pub max_cost: Option<Cost>,
    /// How urgent it is among its owner's jobs.
    #[serde(default)]
    pub priority: Priority,
    /// How long workers may work on it, over all its attempts, in seconds; waiting does not count.
    #[serde(default = "default_timeout_seconds")]
    pub timeout_seconds: u32,
    /// How often it may be tried; as often as the server's other jobs when absent.
    #[serde(default)]
    pub max_attempts: Option<u32>,
    /// The files that may be shown and changed; all of them when empty.
    #[serde(default)]
    pub paths: Vec<PathPattern>,
    /// The files among them that may not.
    #[serde(default)]
    pub exclude_paths: Vec<PathPattern>,
    /// What the client wants to find on the job again. Nothing of ours looks at it.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

fn default_timeout_seconds() -> u32 {
    DEFAULT_TIMEOUT_SECONDS
}

impl JobSpec {
    /// The seed's request: a repository and a prompt, everything else as the server has it.
    pub fn new(repo_url: RepoUrl, prompt: impl Into<String>) -> Self {
        Self {
            repo_url,
            prompt: prompt.into(),
            git_ref: None,
            model: None,
            effort: None,
            strategy: None,
            max_cost: None,
            priority: Priority::default(),
            timeout_seconds: DEFAULT_TIMEOUT_SECONDS,
            max_attempts: None,
            paths: Vec::new(),
            exclude_paths: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// Which files may be shown and changed.
    pub fn path_filter(&self) -> PathFilter {
        PathFilter::new(&self.paths, &self.exclude_paths)
    }
}

/// Where a job stands. The last three are final, unless somebody asks for the job to be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Waits for a worker: new, or between two attempts.
    Queued,
    /// A worker holds the lease.
    Running,
    /// Ended with a result.
    Succeeded,
    /// Ended with a failure.
    Failed,
    /// Ended because somebody asked for it.
    Canceled,
}

impl JobStatus {
    /// Every status, in the order of a job's life.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Canceled];

    /// The name used in SQL, JSON and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the job has ended for good.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for JobStatus {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ParseNameError::find("job status", &Self::ALL, Self::as_str, text)
    }
}

/// A name that is none of the ones a set has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not a known {what}: use one of {allowed}")]
pub struct ParseNameError {
    what: &'static str,
    found: String,
    allowed: String,
}

impl ParseNameError {
    /// Finds the value of `all` that is written `text`, or says which ones there are.
    pub(crate) fn find<T: Copy>(
        what: &'static str,
        all: &[T],
        as_str: fn(T) -> &'static str,
        text: &str,
    ) -> Result<T, Self> {
        all.iter().copied().find(|value| as_str(*value) == text).ok_or_else(|| Self {
            what,
            found: text.to_owned(),
            allowed: all.iter().map(|value| as_str(*value)).collect::<Vec<_>>().join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_of_an_older_release_reads_with_the_defaults() {
        let old = r#"{"repoUrl":"https://github.com/a/b","prompt":"x","ref":null,"maxCost":null}"#;
        let spec: JobSpec = serde_json::from_str(old).expect("it reads");
        assert_eq!((spec.priority, spec.timeout_seconds), (Priority::Normal, 1_800));
        assert_eq!((spec.max_attempts, spec.metadata.len(), spec.path_filter().is_open()), (None, 0, true));
    }

    #[test]
    fn levels_rise_with_the_priority() {
        assert_eq!(Priority::ALL.map(Priority::level), [0, 1, 2]);
        assert_eq!("high".parse(), Ok(Priority::High));
    }
}
