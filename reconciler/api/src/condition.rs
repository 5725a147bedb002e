//! Conditions, as the Kubernetes API conventions define them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody can tell yet.
    Unknown,
}

impl Truth {
    /// The word in the resource.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// Types of conditions that more than one component reads.
pub mod types {
    /// The object is as declared and works.
    pub const READY: &str = "Ready";
    /// The object is applied by hand, not from Git, and reaches no device.
    pub const NOT_IN_GIT: &str = "NotInGit";
    /// The declaration uses a form that is to be written otherwise.
    pub const DEPRECATED_FORM: &str = "DeprecatedForm";
    /// The application's source compiled.
    pub const BUILT: &str = "Built";
    /// The board or the backend cannot run here.
    pub const CANNOT_RUN: &str = "CannotRun";
    /// A revision or a part of it waits for a person.
    pub const HELD: &str = "Held";
}

/// Sets a condition in a list: keeps its `lastTransitionTime` unless the status changes.
///
/// `generation` is the object's `metadata.generation`; `now` becomes the transition time of a change.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    kind: &str,
    status: Truth,
    reason: &str,
    message: impl Into<String>,
    generation: Option<i64>,
    now: Timestamp,
) {
    let new = Condition {
        type_: kind.to_owned(),
        status: status.as_str().to_owned(),
        reason: reason.to_owned(),
        message: message.into(),
        observed_generation: generation,
        last_transition_time: Time(now),
    };
    match conditions.iter_mut().find(|condition| condition.type_ == kind) {
        Some(old) => {
            let since = if old.status == new.status {
                old.last_transition_time.clone()
            } else {
                new.last_transition_time.clone()
            };
            *old = Condition { last_transition_time: since, ..new };
        }
        None => conditions.push(new),
    }
}

/// The condition of a type, if the list has one.
pub fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}
