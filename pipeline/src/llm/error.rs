//! How a call to a model can fail: one variant per reaction.

use std::fmt;
use std::time::Duration;

use domain::FailureCode;

use super::Usage;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A call that failed, and what it used up to then.
#[derive(Debug, thiserror::Error)]
#[error("a call to the model failed")]
pub struct LlmFailure {
    /// What went wrong.
    #[source]
    pub error: LlmError,
    /// What the service had reported when it broke off.
    pub usage: Usage,
    /// The service's id of the request, when it had begun to answer.
    pub request_id: Option<String>,
}

impl From<LlmError> for LlmFailure {
    /// A failure before the service began to answer: nothing was used.
    fn from(error: LlmError) -> Self {
        let request_id = error.answer().and_then(|answer| answer.request_id.clone());
        Self { error, usage: Usage::default(), request_id }
    }
}

/// Why a model did not answer: one variant per reaction.
#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    /// 429: wait as long as asked, then ask again; all workers should.
    #[error("the model service limits our rate")]
    RateLimited(#[source] Box<ServiceError>),
    /// 529: all its users are too many; ask again, slowly.
    #[error("the model service is overloaded")]
    Overloaded(#[source] Box<ServiceError>),
    /// 408, 409, 5xx: a fault of the service; ask again.
    #[error("the model service has a fault")]
    Unavailable(#[source] Box<ServiceError>),
    /// No connection; ask again.
    #[error("the model service cannot be reached")]
    Unreachable(#[source] Source),
    /// The connection broke after the request was sent; ask again, and pay again.
    #[error("the model's answer broke off")]
    Interrupted(#[source] Option<Source>),
    /// Nothing came for too long; ask again.
    #[error("the model service did not answer in time")]
    Timeout,
    /// What came is not the protocol; ask again.
    #[error("the model service's answer cannot be read: {0}")]
    Malformed(String),
    /// 401, 403: the operator must look at the credentials.
    #[error("the model service refuses our credentials")]
    Authentication(#[source] Box<ServiceError>),
    /// Payment, a spend limit, an account on hold: nobody should ask again until the operator has acted.
    #[error("the model service refuses our account: a payment or a limit needs attention")]
    Account(#[source] Box<ServiceError>),
    /// The prompt is larger than the window or the largest request: show the model less.
    #[error("the prompt is too long for the model")]
    PromptTooLong(#[source] Box<ServiceError>),
    /// 404, or a model without a list price: the operator must look at the configuration.
    #[error(
        "the model `{model}` is not known: check its name and the base URL, and give a model that is not \
         built in a row in the table of models"
    )]
    UnknownModel {
        /// The model asked for.
        model: String,
        /// What the service said, if it was asked.
        #[source]
        answer: Option<Box<ServiceError>>,
    },
    /// 400, 422 and the like: a defect of ours.
    #[error("the model service calls our request wrong")]
    InvalidRequest(#[source] Box<ServiceError>),
    /// The address is one this server does not talk to.
    #[error("the model service's address is blocked")]
    Blocked(#[source] Source),
}

impl LlmError {
    /// The kind of failure, as a job's caller sees it.
    pub fn code(&self) -> FailureCode {
        match self {
            Self::RateLimited(_) => FailureCode::ModelRateLimited,
            Self::Overloaded(_) => FailureCode::ModelOverloaded,
            Self::Unavailable(_) | Self::Unreachable(_) | Self::Interrupted(_) | Self::Timeout | Self::Malformed(_) => {
                FailureCode::ModelUnreachable
            }
            Self::Authentication(_) | Self::Account(_) => FailureCode::ModelAuth,
            Self::PromptTooLong(_) => FailureCode::ContextTooLarge,
            Self::UnknownModel { .. } | Self::InvalidRequest(_) => FailureCode::ModelInvalidRequest,
            Self::Blocked(_) => FailureCode::BlockedAddress,
        }
    }

    /// Whether the same call may well succeed a little later. The service's `x-should-retry` has the last word, but
    /// for an account that needs attention: official clients ask in vain there.
    pub fn is_retryable(&self) -> bool {
        if matches!(self, Self::Account(_)) {
            return false;
        }
        self.answer().and_then(|answer| answer.should_retry).unwrap_or(matches!(
            self,
            Self::RateLimited(_)
                | Self::Overloaded(_)
                | Self::Unavailable(_)
                | Self::Unreachable(_)
                | Self::Interrupted(_)
                | Self::Timeout
                | Self::Malformed(_)
        ))
    }

    /// Whether the service may have worked on the request, and bills it, without having said so.
    pub fn may_have_cost(&self) -> bool {
        matches!(self, Self::Interrupted(_) | Self::Timeout)
    }

    /// How long the service asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.answer()?.retry_after
    }

    /// What the service said, if it said something.
    pub fn answer(&self) -> Option<&ServiceError> {
        match self {
            Self::RateLimited(answer)
            | Self::Overloaded(answer)
            | Self::Unavailable(answer)
            | Self::Authentication(answer)
            | Self::Account(answer)
            | Self::PromptTooLong(answer)
            | Self::InvalidRequest(answer) => Some(answer),
            Self::UnknownModel { answer, .. } => answer.as_deref(),
            Self::Unreachable(_) | Self::Interrupted(_) | Self::Timeout | Self::Malformed(_) | Self::Blocked(_) => None,
        }
    }
}

impl LlmError {
    /// The same, to be changed.
    pub(super) fn answer_mut(&mut self) -> Option<&mut ServiceError> {
        match self {
            Self::RateLimited(answer)
            | Self::Overloaded(answer)
            | Self::Unavailable(answer)
            | Self::Authentication(answer)
            | Self::Account(answer)
            | Self::PromptTooLong(answer)
            | Self::InvalidRequest(answer) => Some(answer),
            Self::UnknownModel { answer, .. } => answer.as_deref_mut(),
            Self::Unreachable(_) | Self::Interrupted(_) | Self::Timeout | Self::Malformed(_) | Self::Blocked(_) => None,
        }
    }
}

/// An error in the service's own words. Our credentials are cut out of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct ServiceError {
    /// HTTP status; 200 when the error came inside a stream.
    pub status: u16,
    /// `error.type`, like `overloaded_error`; empty when the answer was not JSON.
    pub kind: String,
    /// `error.details.error_code`, which is stable.
    pub error_code: Option<String>,
    /// `error.message`, for people; bounded.
    pub message: String,
    /// The service's id of the request, for its support.
    pub request_id: Option<String>,
    /// How long to wait.
    pub retry_after: Option<Duration>,
    /// `x-should-retry`.
    pub should_retry: Option<bool>,
}

const MAX_TEXT_CHARS: usize = 500;

impl ServiceError {
    /// Makes the service's texts fit for logs and people: without these secrets, on one line, not too long.
    pub(super) fn clean(&mut self, secrets: &[&str]) {
        let texts = [Some(&mut self.kind), self.error_code.as_mut(), Some(&mut self.message), self.request_id.as_mut()];
        for text in texts.into_iter().flatten() {
            let without = secrets.iter().fold(text.clone(), |text, secret| text.replace(secret, "[redacted]"));
            *text = without.chars().take(MAX_TEXT_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        }
    }
}

/// `429 rate_limit_error (ramp_limit_exceeded): slow down [req_01]`
impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if !self.kind.is_empty() {
            write!(f, " {}", self.kind)?;
        }
        if let Some(error_code) = &self.error_code {
            write!(f, " ({error_code})")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(request_id) = &self.request_id {
            write!(f, " [{request_id}]")?;
        }
        Ok(())
    }
}
