//! The cluster edition: the chart on a real API server, its pods with their ServiceAccounts' tokens, and RBAC enforced.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use kube::Client;
use serde_json::Value;
use tempfile::TempDir;
use wasmbed_control_plane_testing::{Kubernetes, Options};

use crate::certificates::Authority;
use crate::chart::render;
use crate::edition::{Component, Edition, TENANT};
use crate::objects::{apply_all, established};
use crate::pod::Pod;
use crate::pods::Pods;

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

/// The chart, installed.
pub struct OnKubernetes {
    admin: Client,
    kubeconfig: PathBuf,
    pods: Pods,
    folder: TempDir,
    kubernetes: Kubernetes,
}

impl OnKubernetes {
    /// Does what a person does with `helm install`; nothing where a person leaves the real API server out.
    pub async fn install() -> Option<Self> {
        let kubernetes = Kubernetes::for_test(Options { audit: true, ..Options::default() }).await?;
        let folder = tempfile::Builder::new().prefix("wasmbed-cluster-").tempdir().unwrap();
        let admin = kubernetes.client(TENANT).await;
        let values = folder.path().join("values.yaml");
        std::fs::write(&values, VALUES).unwrap();
        let objects = render(kubernetes.programs(), &values);
        apply_all(&admin, &objects).await;
        established(&admin, &objects).await;
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, kubernetes.kubeconfig(TENANT)).unwrap();
        let of_anyone = kubernetes.kubeconfig_of("TOKEN", TENANT);
        let kubeconfig_of = move |token: &str| of_anyone.replace("TOKEN", token);
        let pods = Pods::new(admin.clone(), kubeconfig_of, folder.path(), &objects).await;
        certificates(&admin, &pods).await;
        Some(Self { admin, kubeconfig, pods, folder, kubernetes })
    }
}

impl Edition for OnKubernetes {
    fn admin(&self) -> Client {
        self.admin.clone()
    }

    fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn replicas(&self, component: Component) -> usize {
        self.pods.replicas(deployment(component))
    }

    async fn start(&mut self, component: Component) -> Pod {
        self.pods.start(deployment(component)).await
    }

    fn gateways(&self) -> SocketAddr {
        self.pods.service(deployment(Component::Gateway))
    }

    fn look_back(&self) {
        nothing_was_denied(&self.kubernetes.audit_log());
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

async fn certificates(admin: &Client, pods: &Pods) {
    let (servers, callers) = (Authority::new("servers"), Authority::new("callers"));
    servers.publish(admin, "streams-ca").await;
    callers.publish(admin, "callers-ca").await;
    for name in [deployment(Component::Builder), deployment(Component::Signer)] {
        servers.issue(admin, &format!("{name}-tls"), name, Some(v4(pods.service(name)))).await;
    }
    callers.issue(admin, "wasmbed-reconciler-plant-a-tls", "wasmbed-reconciler-plant-a", None).await;
}

fn v4(address: SocketAddr) -> Ipv4Addr {
    match address.ip() {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => panic!("Services have IPv4 addresses here"),
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
