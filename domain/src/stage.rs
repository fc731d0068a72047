//! A stage: one durable step of a job.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ParseNameError;

/// Which step of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// The repository at one commit.
    Snapshot,
    /// The document of paths and contents.
    Sheet,
    /// What to change and where.
    Plan,
    /// The edits.
    Edit,
    /// What a fresh reader finds wrong with the diff.
    Review,
    /// The edits that answer the review and the machine checks.
    Repair,
    /// The review of the repaired diff.
    Confirm,
}

impl StageKind {
    /// Every stage, in the order a job goes through them.
    pub const ALL: [Self; 7] =
        [Self::Snapshot, Self::Sheet, Self::Plan, Self::Edit, Self::Review, Self::Repair, Self::Confirm];

    /// The name used in SQL, JSON, URLs and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Sheet => "sheet",
            Self::Plan => "plan",
            Self::Edit => "edit",
            Self::Review => "review",
            Self::Repair => "repair",
            Self::Confirm => "confirm",
        }
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StageKind {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ParseNameError::find("stage", &Self::ALL, Self::as_str, text)
    }
}

/// One stage of one job: its kind, and which item when a kind runs once per file or group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StageKey {
    /// Which step.
    pub kind: StageKind,
    /// Which part of it; empty for a stage that runs once.
    #[serde(default)]
    pub item: String,
}

impl From<StageKind> for StageKey {
    fn from(kind: StageKind) -> Self {
        Self { kind, item: String::new() }
    }
}

/// `plan`, or `edit:src/main.rs` for a stage with items.
impl fmt::Display for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        if self.item.is_empty() { Ok(()) } else { write!(f, ":{}", self.item) }
    }
}

/// What a finished stage left behind. Written once, never recomputed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageRecord {
    /// Which stage.
    pub key: StageKey,
    /// What it made, as JSON.
    pub output: serde_json::Value,
}
