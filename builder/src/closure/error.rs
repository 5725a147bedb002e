//! Why a closure is refused.

use std::fmt;

use crate::outcome::{Failure, FailureReason, Location};

use super::TreeError;

/// There is no closure.
#[derive(Debug, thiserror::Error)]
pub enum ClosureError {
    /// The sources are refused; all reasons found at once.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Refusal>),
    /// The tree could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// One reason against a source: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where.
    pub location: Location,
    /// What stands against it, and what to do.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(file: impl Into<String>, line: u32, message: impl Into<String>) -> Self {
        Self { location: Location { file: file.into(), line }, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)
    }
}

impl From<Refusal> for ClosureError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(vec![refusal])
    }
}

impl ClosureError {
    /// The same as a failed build, for a condition.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Refused(refusals) => match &refusals[..] {
                [only] => Failure {
                    reason: FailureReason::SourceRefused,
                    message: only.message.clone(),
                    location: Some(only.location.clone()),
                },
                many => Failure {
                    reason: FailureReason::SourceRefused,
                    message: self.to_string(),
                    location: many.first().map(|refusal| refusal.location.clone()),
                },
            },
            Self::Tree(error) => {
                Failure { reason: FailureReason::BuilderFailed, message: error.to_string(), location: None }
            }
        }
    }
}
