//! Reading live events: of `wasmbed up`, or of the gateways on a cluster.

mod gateways;

use anyhow::{Context, Result};
use wasmbed_streams::live::{LiveEvent, LiveFilter};

use crate::arguments::LiveArguments;
use crate::processes::streams::connector;
use crate::state_folder::StateFolder;

/// Calls `show` with each event that `filter` wants.
///
/// # Errors
/// When `wasmbed up` does not run there or ends, when no gateway that is named is reached at the start, or `show` fails.
pub(crate) async fn each(
    from: &LiveArguments,
    filter: &LiveFilter,
    mut show: impl FnMut(LiveEvent) -> Result<()>,
) -> Result<()> {
    if !from.live.is_empty() {
        let named = from.live.iter().map(|endpoint| connector(endpoint.clone(), &from.streams));
        return gateways::each(named.collect::<Result<_>>()?, filter, show).await;
    }
    let socket = StateFolder::named_by(&from.state)?.live_socket();
    let mut events = wasmbed_streams::read::<LiveEvent>(&socket, &filter.path()).await.context(
        "no live events: is `wasmbed up` running? (name its folder with --state, or a cluster's gateways with --live)",
    )?;
    while let Some(event) = events.next().await {
        show(event.context("`wasmbed up` ended")?)?;
    }
    Ok(())
}
