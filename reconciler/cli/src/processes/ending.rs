//! When a component ends.

use anyhow::Result;
use wasmbed_emulator::parent_is_gone;

use crate::up::signals;

/// When it is told to; and as a child of a supervisor, when that is gone.
///
/// # Errors
/// When signals cannot be heard.
pub(super) fn told_to_end(with_parent: bool) -> Result<impl Future<Output = ()>> {
    let signals = signals()?;
    Ok(async move {
        if !with_parent {
            return signals.await;
        }
        tokio::select! {
            () = signals => {}
            () = parent_is_gone() => {}
        }
    })
}
