//! The cluster edition: the chart on a real API server, its pods with their ServiceAccounts' tokens, and RBAC enforced.

use std::net::SocketAddr;
use std::path::Path;

use kube::Client;
use serde_json::Value;
use wasmbed_control_plane_testing::Options;

use crate::edition::{Component, Edition, TENANT};
use crate::installation::Installation;
use crate::pod::Pod;

const VALUES: &str = "
tls:
  mode: secret
  ca: {secret: streams-ca}
  callersCa: {secret: callers-ca}
fleets:
  - namespace: plant-a
    name: plant-a
    createNamespace: true
    create: false
    gateways:
      - {name: gateway-1, replicas: 3}
";

/// The chart, installed with these values.
pub struct OnKubernetes(Installation);

impl OnKubernetes {
    /// Installs it; nothing where a person leaves the real API server out.
    pub async fn install() -> Option<Self> {
        Some(Self(Installation::of(VALUES, &[TENANT], Options { audit: true, ..Options::default() }).await?))
    }
}

impl Edition for OnKubernetes {
    fn admin(&self) -> Client {
        self.0.admin.clone()
    }

    fn kubeconfig(&self) -> &Path {
        &self.0.kubeconfig
    }

    fn folder(&self) -> &Path {
        self.0.folder()
    }

    fn replicas(&self, component: Component) -> usize {
        self.0.pods.replicas(deployment(component))
    }

    async fn start(&mut self, component: Component) -> Pod {
        self.0.pods.start(deployment(component)).await
    }

    fn gateways(&self) -> SocketAddr {
        self.0.pods.service(deployment(Component::Gateway))
    }

    fn look_back(&self) {
        nothing_was_denied(&self.0.kubernetes.audit_log());
    }
}

/// The chart's name for it.
fn deployment(component: Component) -> &'static str {
    match component {
        Component::Builder => "wasmbed-builder",
        Component::Signer => "wasmbed-signer-plant-a",
        Component::Reconciler => "wasmbed-reconciler-plant-a",
        Component::Gateway => "wasmbed-gateway-plant-a-gateway-1",
    }
}

/// RBAC let every request of Wasmbed's ServiceAccounts pass.
fn nothing_was_denied(audit: &Path) {
    let log = std::fs::read_to_string(audit).unwrap();
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ours = |event: &&Value| {
        event["user"]["username"].as_str().is_some_and(|user| user.starts_with("system:serviceaccount:wasmbed-system:"))
    };
    assert!(events.iter().filter(ours).count() > 100, "the pods used the API with their own tokens");
    let denied: Vec<_> = events
        .iter()
        .filter(ours)
        .filter(|event| event["responseStatus"]["code"] == 403)
        .map(|event| format!("{} {} {}", event["user"]["username"], event["verb"], event["requestURI"]))
        .collect();
    assert!(denied.is_empty(), "denied:\n{}", denied.join("\n"));
}
