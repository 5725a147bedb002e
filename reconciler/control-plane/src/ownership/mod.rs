//! Who owns which field of an object: `managedFields`, server-side apply and its conflicts. Pure.
//!
//! The rules are those of structured-merge-diff, which kube-apiserver uses.

mod apply;
mod compare;
mod field_set;
mod last_applied;
mod managers;
mod merge;
mod remove;
mod shape;

pub(crate) use apply::{ApplyError, Scope, apply, track_update};
