//! Labels and names of objects that components find each other by.

use crate::digest::Digest;

/// On a Device: the Gateway it belongs to. Set by the reconciler; gateways watch by it.
pub const GATEWAY: &str = "wasmbed.github.io/gateway";
/// On everything the reconciler applies: the Fleet. Pruning goes by it.
pub const FLEET: &str = "wasmbed.github.io/fleet";
/// On Releases and Rollouts: the Application.
pub const APPLICATION: &str = "wasmbed.github.io/application";

/// The ConfigMap with the root-signed KeySet, under [`KEYSET_ENTRY`] of its `binaryData`.
pub const KEYSET: &str = "wasmbed-keyset";
/// The entry of [`KEYSET`].
pub const KEYSET_ENTRY: &str = "keyset.cose";
/// The entry of a module's ConfigMap.
pub const MODULE_ENTRY: &str = "module.wasm";

/// The field manager of what gateways write; what one replica says of itself, it applies as [`gateway_replica_manager`].
pub const GATEWAY_MANAGER: &str = "wasmbed-gateway";

/// The field manager of what a replica of a Gateway says of itself: its fields go with it.
pub fn gateway_replica_manager(replica: &str) -> String {
    format!("{GATEWAY_MANAGER}/{replica}")
}

/// The Lease that a replica of a Gateway holds while it serves. It bears the label [`GATEWAY`].
pub fn gateway_lease(gateway: &str, replica: &str) -> String {
    format!("gateway-{gateway}-{replica}")
}

/// The immutable ConfigMap that holds a module.
pub fn module_config_map(module: &Digest) -> String {
    format!("module-{module}")
}
