//! Why a job failed, as the caller may see it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ParseNameError;

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind, for programs.
    pub code: FailureCode,
    /// What happened and what to do, for people. Holds no secret and no internal address.
    pub message: String,
}

impl Failure {
    /// A failure with its message.
    pub fn new(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

macro_rules! failure_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $retryable:literal;)+) => {
        /// The kinds of failure. The names are part of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum FailureCode {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl FailureCode {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name used in SQL, JSON and logs.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii()),+ }
            }

            /// Whether the same job may well succeed on another attempt.
            pub fn is_retryable(self) -> bool {
                match self { $(Self::$variant => $retryable),+ }
            }
        }
    };
}

failure_codes! {
    /// The host says there is no such repository.
    RepoNotFound = "repo_not_found", false;
    /// The host wants credentials, and none are configured for it or they were refused.
    RepoAuthRequired = "repo_auth_required", false;
    /// The repository has no commit.
    RepoEmpty = "repo_empty", false;
    /// The repository has no such branch, tag or commit.
    RefNotFound = "ref_not_found", false;
    /// None of the repository's files is one that the job may see.
    NoMatchingPaths = "no_matching_paths", false;
    /// More bytes, objects, entries or levels than allowed.
    RepoTooLarge = "repo_too_large", false;
    /// The host did not deliver in time.
    RepoTimeout = "repo_timeout", true;
    /// The host cannot be reached or broke off.
    RepoUnreachable = "repo_unreachable", true;
    /// The repository or the host uses something we do not read.
    RepoUnsupported = "repo_unsupported", false;
    /// The host's address is one this server does not talk to.
    BlockedAddress = "blocked_address", false;
    /// The repository does not fit the strategy that was asked for.
    ContextTooLarge = "context_too_large", false;
    /// The model service refused our credentials or our account.
    ModelAuth = "model_auth", false;
    /// The model service answered that the request is wrong: an unknown model, or a bug.
    ModelInvalidRequest = "model_invalid_request", false;
    /// The model service is overloaded.
    ModelOverloaded = "model_overloaded", true;
    /// The model service limits our rate, for longer than the job may wait.
    ModelRateLimited = "model_rate_limited", true;
    /// The model service cannot be reached, or its stream breaks off.
    ModelUnreachable = "model_unreachable", true;
    /// The model declined the task.
    ModelRefused = "model_refused", false;
    /// The model's answers could not be used.
    ModelOutputInvalid = "model_output_invalid", true;
    /// The next call could have cost more than the job may.
    BudgetExceeded = "budget_exceeded", false;
    /// The job ran out of time.
    DeadlineExceeded = "deadline_exceeded", false;
    /// The edits were made but the diff must not go out: it holds a secret, or a check refused it.
    DiffRejected = "diff_rejected", false;
    /// Three workers in a row were lost with the job.
    Poisoned = "poisoned", false;
    /// A defect in tinygen.
    Internal = "internal", true;
}

impl fmt::Display for FailureCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FailureCode {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ParseNameError::find("failure code", Self::ALL, Self::as_str, text)
    }
}
