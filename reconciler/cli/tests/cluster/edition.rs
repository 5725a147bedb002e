//! Where the story is told: what differs between Kubernetes and the embedded edition.

use std::net::SocketAddr;
use std::path::Path;

use kube::Client;

use crate::pod::Pod;

/// The tenant: its namespace, and its fleet.
pub const TENANT: &str = "plant-a";
/// The tenant's gateway.
pub const GATEWAY: &str = "gateway-1";

/// What runs as processes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    Builder,
    Signer,
    Reconciler,
    Gateway,
}

/// An API with a system namespace and a tenant, and what starts components there.
pub trait Edition {
    /// The administrator, in the tenant's namespace.
    fn admin(&self) -> Client;

    /// The administrator's kubeconfig.
    fn kubeconfig(&self) -> &Path;

    /// A folder of the test's own.
    fn folder(&self) -> &Path;

    /// How many of a component there are to be.
    fn replicas(&self, component: Component) -> usize;

    /// Starts one more, and does not wait for it.
    async fn start(&mut self, component: Component) -> Pod;

    /// Where devices reach the gateways, whichever runs.
    fn gateways(&self) -> SocketAddr;

    /// What is to be true once all have ended.
    fn look_back(&self);
}
