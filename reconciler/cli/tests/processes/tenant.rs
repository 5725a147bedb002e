//! An API with a system namespace and a tenant: a Fleet, its repository, its keys as Secrets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use k8s_openapi::ByteString;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use wasmbed_api::{Device, Fleet};
use wasmbed_control_plane::{ControlPlane, Options, Served};

use super::repository::Repository;
use super::running::{Running, program};

/// The tenant: its namespace and its Fleet.
pub const TENANT: &str = "plant";
/// The namespace of the processes and keys.
pub const SYSTEM: &str = "wasmbed-system";

pub struct Tenant {
    pub repository: Repository,
    runtime: tokio::runtime::Runtime,
    client: kube::Client,
    kubeconfig: PathBuf,
    folder: tempfile::TempDir,
    _served: Served,
    _control_plane: ControlPlane,
}

impl Tenant {
    pub fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::Builder::new().prefix("wasmbed-e2e-").tempdir().unwrap();
        let repository = Repository::create(folder.path());
        repository
            .write("gateway.yaml", "apiVersion: wasmbed.io/v1\nkind: Gateway\nmetadata: {name: gateway-1}\nspec: {}\n");
        repository.push("A gateway");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = Options::new(folder.path().join("api"), wasmbed_api::crds()).namespace(TENANT).namespace(SYSTEM);
        let control_plane = runtime.block_on(ControlPlane::open(options)).unwrap();
        let served = runtime.block_on(control_plane.serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        served.write_kubeconfig(&kubeconfig, TENANT).unwrap();
        let client = {
            let _inside = runtime.enter();
            control_plane.client(TENANT)
        };
        let this =
            Self { repository, runtime, client, kubeconfig, folder, _served: served, _control_plane: control_plane };
        this.put_release_key();
        this.put_fleet();
        this
    }

    fn put_release_key(&self) {
        let data = [("seed".to_owned(), ByteString(vec![7; 32]))].into();
        let metadata = ObjectMeta { name: Some(format!("wasmbed-{TENANT}-release")), ..ObjectMeta::default() };
        let secret = Secret { metadata, data: Some(data), ..Secret::default() };
        let secrets = Api::<Secret>::namespaced(self.client.clone(), SYSTEM);
        self.runtime.block_on(secrets.create(&PostParams::default(), &secret)).unwrap();
    }

    fn put_fleet(&self) {
        let fleet = json!({
            "apiVersion": "wasmbed.github.io/v1alpha1", "kind": "Fleet", "metadata": { "name": TENANT },
            "spec": { "url": self.repository.bare, "interval": "1s" },
        });
        let fleets = Api::<Fleet>::namespaced(self.client.clone(), TENANT);
        let parameters = PatchParams::apply("administrator");
        self.runtime.block_on(fleets.patch(TENANT, &parameters, &Patch::Apply(fleet))).unwrap();
    }

    /// Declares so many devices more; returns the revision.
    pub fn declare(&self, name: &str, count: usize) -> String {
        let device = |number| {
            format!(
                "---\napiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {{name: {name}-{number}}}\nspec: {{gatewayId: gateway-1, mcuType: Host}}\n"
            )
        };
        self.repository.write(&format!("{name}.yaml"), &(0..count).map(device).collect::<String>());
        self.repository.push(name)
    }

    /// Starts a reconciler; gives also where it answers for its health.
    pub fn reconcile(&self, name: &str) -> (Running, SocketAddr) {
        let health = free();
        let mut command = program();
        command
            .args(["reconcile", "--leader-election", "--namespace", TENANT, "--system-namespace", SYSTEM])
            .args(["--builder", "/nowhere/builder.sock", "--replica", name])
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache")
            .arg(self.path(name))
            .arg("--listen-health")
            .arg(health.to_string());
        (Running::start(name, &mut command), health)
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::join(self.folder.path(), name)
    }

    /// Names of the declared Devices that the API has.
    pub fn devices(&self) -> usize {
        let devices = Api::<Device>::namespaced(self.client.clone(), TENANT);
        self.runtime.block_on(devices.list_metadata(&Default::default())).unwrap().items.len()
    }

    /// The revision that was brought about last.
    pub fn applied(&self) -> Option<String> {
        let fleets = Api::<Fleet>::namespaced(self.client.clone(), TENANT);
        let status = self.runtime.block_on(fleets.get(TENANT)).unwrap().status?;
        status.applied_revision.map(|revision| revision.to_string())
    }

    /// Who holds the Lease, and how often that changed.
    pub fn holder(&self) -> (Option<String>, i32) {
        let leases = Api::<Lease>::namespaced(self.client.clone(), TENANT);
        let lease = self.runtime.block_on(leases.get_opt(wasmbed_reconciler::LEASE)).unwrap();
        let spec = lease.and_then(|lease| lease.spec).unwrap_or_default();
        (spec.holder_identity.filter(|holder| !holder.is_empty()), spec.lease_transitions.unwrap_or(0))
    }
}

/// A port that is free now.
pub fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// What a component says of its health: status and text; nothing while nobody answers.
pub fn ask(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut tcp = TcpStream::connect(address).ok()?;
    write!(tcp, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).ok()?;
    Some((answer.split(' ').nth(1)?.parse().ok()?, answer))
}
