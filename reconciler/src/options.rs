//! What the reconciler is told.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::sync::watch;
use wasmbed_health::Health;
use wasmbed_keys::KeySource;
use wasmbed_registry::Registry;
use wasmbed_streams::Connector;

/// What the reconciler is told.
#[derive(Clone)]
pub struct Options {
    /// The Kubernetes API.
    pub client: kube::Client,
    /// The namespace of the Fleet and of all that it declares.
    pub namespace: String,
    /// The folder of caches: repositories, built modules.
    pub cache: PathBuf,
    /// The key that signs Releases. When it is replaced, what devices may still be told to run is signed again.
    pub release_key: KeySource,
    /// Where modules lie that are too large for a ConfigMap; applications with such a module are held without one.
    pub registry: Option<Registry>,
    /// Reaches the builder.
    pub builder: Connector,
    /// Its name among several reconcilers of the namespace, of which the holder of a Lease leads; if `None`, it is the only
    /// one.
    pub replica: Option<String>,
    /// Where it says how it is.
    pub health: Health,
    /// Where `POST /hooks/<token>` is answered, whether it leads or not; nowhere if `None`.
    pub hooks: Option<SocketAddr>,
    /// Whether the gateways' replicas hold Leases, as on a cluster, and are to be looked after.
    pub gateway_leases: bool,
    /// Is told the address once webhooks are answered there; with port 0 in `hooks`, the port that was drawn.
    pub hooks_bound: Option<watch::Sender<Option<SocketAddr>>>,
}
