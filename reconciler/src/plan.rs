//! What must change so that the cluster is what the repository declares. Pure: no client, clock or file.

mod deletion;
mod object;

use std::cmp::Ordering;
use std::collections::BTreeMap;

pub use deletion::{Deletion, DeletionGuard, DeletionSet, TRAILER, Verdict, allowance, allowed_hashes};
pub use object::{Fingerprint, Kind, ObjectId, Place};

/// One object as the repository declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Of everything the reconciler applies: labels, annotations, spec.
    pub fingerprint: Fingerprint,
    /// Where it is declared.
    pub place: Place,
}

/// One object as the cluster has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Of the labels and annotations that the reconciler manages, and the spec.
    pub fingerprint: Fingerprint,
    /// The fleet whose label it carries; `None` was applied by hand.
    pub fleet: Option<String>,
}

/// What to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is not there.
    Create,
    /// It is there and differs.
    Update,
    /// It is there and no longer declared.
    Delete,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// New in the repository.
    Declared,
    /// Declared before and applied, but gone from the cluster: somebody deleted it.
    Vanished,
    /// The declaration changed.
    Changed,
    /// The declaration did not change; somebody changed the object.
    Drifted,
    /// The object was applied by hand, and now the repository declares it.
    Adopted,
    /// The declaration left the repository.
    Undeclared,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Declared => "new in the repository",
            Self::Vanished => "was deleted from the cluster by hand",
            Self::Changed => "its declaration changed",
            Self::Drifted => "was changed in the cluster by hand",
            Self::Adopted => "was applied by hand and is now declared",
            Self::Undeclared => "left the repository",
        })
    }
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The object.
    pub id: ObjectId,
    /// What to do.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

/// What a plan is made from.
pub struct Input<'a> {
    /// The fleet's name, as its label has it.
    pub fleet: &'a str,
    /// What the repository declares.
    pub desired: &'a BTreeMap<ObjectId, Desired>,
    /// What it declared when it was last applied, if that is known: tells a changed declaration from drift.
    pub applied: Option<&'a BTreeMap<ObjectId, Desired>>,
    /// What the cluster has, of the kinds a repository may declare.
    pub observed: &'a BTreeMap<ObjectId, Observed>,
    /// Whether objects that left the repository are deleted (`Fleet.spec.prune`).
    pub prune: bool,
}

/// Compares what is declared with what is there. Creations and updates come in the order of kinds (gateways before devices before
/// applications), deletions after them in the reverse order, so that nothing ever names what is not there.
#[must_use]
pub fn plan(input: &Input<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut deletions = Vec::new();
    let mut wanted = input.desired.iter().peekable();
    let mut present = input.observed.iter().peekable();
    loop {
        let order = match (wanted.peek(), present.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((want, _)), Some((have, _))) => want.cmp(have),
        };
        match order {
            Ordering::Less => {
                let (id, desired) = wanted.next().expect("peeked");
                changes.push(Change { id: id.clone(), action: Action::Create, reason: why_absent(input, id, desired) });
            }
            Ordering::Equal => {
                let (id, desired) = wanted.next().expect("peeked");
                let (_, observed) = present.next().expect("peeked");
                if let Some(reason) = why_different(input, id, desired, observed) {
                    changes.push(Change { id: id.clone(), action: Action::Update, reason });
                }
            }
            Ordering::Greater => {
                let (id, observed) = present.next().expect("peeked");
                if input.prune && observed.fleet.as_deref() == Some(input.fleet) {
                    deletions.push(Change { id: id.clone(), action: Action::Delete, reason: Reason::Undeclared });
                }
            }
        }
    }
    changes.extend(deletions.into_iter().rev());
    changes
}

fn why_absent(input: &Input<'_>, id: &ObjectId, desired: &Desired) -> Reason {
    match input.applied.and_then(|applied| applied.get(id)) {
        Some(before) if before.fingerprint == desired.fingerprint => Reason::Vanished,
        _ => Reason::Declared,
    }
}

fn why_different(input: &Input<'_>, id: &ObjectId, desired: &Desired, observed: &Observed) -> Option<Reason> {
    if observed.fleet.as_deref() != Some(input.fleet) {
        return Some(match input.applied.and_then(|applied| applied.get(id)) {
            // It was ours, and its label was taken away.
            Some(_) => Reason::Drifted,
            None => Reason::Adopted,
        });
    }
    if observed.fingerprint == desired.fingerprint {
        return None;
    }
    match input.applied.and_then(|applied| applied.get(id)) {
        Some(before) if before.fingerprint == desired.fingerprint => Some(Reason::Drifted),
        _ => Some(Reason::Changed),
    }
}

#[cfg(test)]
mod tests;
