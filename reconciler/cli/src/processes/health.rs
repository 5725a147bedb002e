//! Where a component that runs on its own says how it is.

use anyhow::Result;
use wasmbed_health::{Health, HealthServer};

use crate::arguments::HealthArguments;

/// Answers for `health` where the arguments say, until what is returned is dropped.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn answer(arguments: &HealthArguments, health: &Health) -> Result<Option<HealthServer>> {
    Ok(match arguments.listen_health {
        Some(listen) => Some(wasmbed_health::serve(listen, health.clone()).await?),
        None => None,
    })
}
