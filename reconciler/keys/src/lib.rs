//! Which key signs at present: one that was given, or the one that a Secret holds, as it changes.
//!
//! On one machine keys are files, read when a process starts. On a cluster they are Secrets of the system namespace, written by
//! `wasmbed keys publish`; whoever signs watches the one Secret it may read, so that a rotation takes effect without a restart.

mod current;
mod place;

pub use current::{CurrentKey, KeySource, NoKey};
pub use place::{
    CREDENTIAL_ENTRY, SEED_ENTRY, SecretPlace, TENANT_LABEL, TLS_SEED_ENTRY, assignment_secret, gateway_secret,
    release_secret,
};
