//! How a job shows the repository to the model, and how hard the model works.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ParseNameError;

/// How the repository is shown to the model. A job without one gets the one its size calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Everything at once, in one document of paths and contents.
    Sheet,
}

impl Strategy {
    /// Every strategy, from the smallest repository to the largest.
    pub const ALL: [Self; 1] = [Self::Sheet];

    /// The name used in SQL, JSON and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sheet => "sheet",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Strategy {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ParseNameError::find("strategy", &Self::ALL, Self::as_str, text)
    }
}

/// How hard the model works (`output_config.effort` of the Messages API).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// Cheapest.
    Low,
    /// The default of Opus 5.5 and Haiku 5.5.
    Medium,
    /// The default of Sonnet 5.5.
    High,
    /// More thinking than `high`.
    Xhigh,
    /// As much thinking as the model has.
    Max,
}

impl Effort {
    /// Every effort, from cheap to dear.
    pub const ALL: [Self; 5] = [Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];

    /// The name used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Effort {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ParseNameError::find("effort", &Self::ALL, Self::as_str, text)
    }
}
