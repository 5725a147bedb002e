//! Where a component has its key.

use anyhow::Result;
use wasmbed_keys::{KeySource, SecretPlace};
use wasmbed_protocol::SigningKey;

use crate::arguments::KeyArguments;

/// A Secret of the system namespace, if the arguments name one; else what the state folder has.
///
/// # Errors
/// Those of `of_state`.
pub(super) fn key_source(
    arguments: &KeyArguments,
    secret: String,
    of_state: impl FnOnce() -> Result<SigningKey>,
) -> Result<KeySource> {
    Ok(match &arguments.system_namespace {
        Some(system) => KeySource::Secret(SecretPlace { namespace: system.clone(), name: secret }),
        None => KeySource::Fixed(of_state()?),
    })
}
