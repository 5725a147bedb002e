//! `wasmbed gateway`.

use std::time::Duration;

use anyhow::Result;
use wasmbed_health::Health;
use wasmbed_keys::gateway_secret;
use wasmbed_streams::live::{self, LiveHub};

use super::health;
use super::registry::registry;
use super::streams::{connector_or, door};
use crate::arguments::Gateway;
use crate::state_folder::StateFolder;
use crate::up::signals;
use crate::{api, host};

/// Serves one Gateway until told to end; then it takes no more connections and ends its sessions one after another.
///
/// # Errors
/// When the API cannot be reached, or an address cannot be listened on.
pub(crate) async fn run(arguments: Gateway) -> Result<()> {
    let end = signals()?;
    let registry = registry(&arguments.registry)?;
    let api::Reached { client, namespace } = api::reach(&arguments.api).await?;
    // The reconciler of a cluster takes a Gateway for served while a replica of it holds a Lease, if it is but one.
    let on_cluster = arguments.keys.system_namespace.is_some();
    let replica = arguments.replica.or_else(|| on_cluster.then(host::name));
    let (identity_namespace, identity_secret) = match arguments.keys.system_namespace {
        Some(system) => (system, gateway_secret(&namespace, &arguments.name)),
        None => (namespace.clone(), format!("gateway-{}", arguments.name)),
    };
    let own_health = Health::default();
    let _answering = health::answer(&arguments.health, &own_health).await?;
    let state = arguments.api.state.clone();
    let signer =
        connector_or(arguments.signer, &arguments.streams, || Ok(StateFolder::named_by(&state)?.signer_socket()))?;
    let hub = LiveHub::default();
    let _live = match (arguments.listen_live, &arguments.tls) {
        (Some(listen), Some(tls)) => {
            let door = door(&client, listen, tls, &arguments.allow);
            Some(wasmbed_streams::serve(door, live::router(hub.clone())).await?)
        }
        _ => None,
    };
    let options = wasmbed_gateway::Options {
        client,
        namespace,
        name: arguments.name,
        replica,
        listen: arguments.listen,
        advertise: arguments.advertise,
        signer,
        identity_namespace,
        identity_secret,
        registry,
        live: hub,
        limits: wasmbed_gateway::Limits::default(),
        drain: Duration::from_secs(arguments.drain.into()),
        health: own_health,
    };
    Ok(wasmbed_gateway::run(options, end).await?)
}
