//! A fleet's repository, a real API in this process, and the reconciler between them.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wasmbed_api::{Application, Device, Digest, Fleet, FleetStatus, Gateway, Release, Rollout};
use wasmbed_control_plane::ControlPlane;
use wasmbed_keys::{KeySource, SecretPlace};
use wasmbed_protocol::{KeySet, SigningKey};
use wasmbed_reconciler::{Options, Reconciler, Summary, reconcile_once, run};

use super::declare::{application, device, gateway};
use super::{PATIENCE, git};

/// Namespace and name of the fleet.
pub const FLEET: &str = "home";

pub struct World {
    pub repository: git::Fleet,
    pub client: Client,
    state: tempfile::TempDir,
    /// The embedded API, where it is that.
    _control_plane: Option<ControlPlane>,
}

impl World {
    /// A gateway, two devices and the application `hello`, pushed; and a Fleet that follows them.
    pub async fn new() -> Self {
        let state = tempfile::tempdir().expect("a folder");
        let options = wasmbed_control_plane::Options::new(state.path().join("api"), wasmbed_api::crds());
        let control_plane = ControlPlane::open(options.namespace(FLEET)).await.expect("an API");
        let client = control_plane.client(FLEET);
        Self { _control_plane: Some(control_plane), ..Self::at(client, state).await }
    }

    /// The same at another API, in which the namespace is there.
    pub async fn elsewhere(client: Client) -> Self {
        Self::at(client, tempfile::tempdir().expect("a folder")).await
    }

    async fn at(client: Client, state: tempfile::TempDir) -> Self {
        let repository = git::Fleet::new();
        repository
            .write("fleet/gateway.yaml", &gateway("gateway-1"))
            .write("fleet/devices.yaml", &format!("{}---\n{}", device("d1"), device("d2")))
            .write("fleet/hello.yaml", &application("hello", &["d1", "d2"], 1))
            .push("first");
        let world = Self { repository, client, state, _control_plane: None };
        let url = world.repository.url();
        world.fleet_spec(json!({ "url": url, "path": "fleet", "interval": "1h" })).await;
        world
    }

    /// Applies the Fleet, as `wasmbed up` does.
    pub async fn fleet_spec(&self, spec: Value) {
        let fleet = json!({
            "apiVersion": "wasmbed.github.io/v1alpha1", "kind": "Fleet", "metadata": { "name": FLEET }, "spec": spec,
        });
        let applied = PatchParams::apply("wasmbed-up").force();
        self.api::<Fleet>().patch(FLEET, &applied, &Patch::Apply(fleet)).await.expect("a Fleet");
    }

    /// Where nobody builds, unless a test does.
    pub fn builder_socket(&self) -> std::path::PathBuf {
        self.state.path().join("no-builder.sock")
    }

    pub fn options(&self) -> Options {
        Options {
            client: self.client.clone(),
            namespace: FLEET.to_owned(),
            cache: self.state.path().join("cache"),
            release_key: KeySource::Fixed(key(1)),
            registry: None,
            builder: self.builder_socket().into(),
            replica: None,
            health: wasmbed_health::Health::default(),
            hooks: None,
            gateway_leases: false,
            hooks_bound: None,
        }
    }

    /// With the release key in a Secret that nobody wrote yet; see [`World::write_key`].
    pub fn options_with_secret(&self) -> Options {
        let place = SecretPlace { namespace: FLEET.to_owned(), name: "release".to_owned() };
        Options { release_key: KeySource::Secret(place), ..self.options() }
    }

    /// Puts the key of a number into the Secret.
    pub async fn write_key(&self, number: u8) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "release" },
            "data": { "seed": ByteString(vec![number; 32]) },
        });
        let applied = PatchParams::apply("wasmbed-keys").force();
        self.api::<Secret>().patch("release", &applied, &Patch::Apply(secret)).await.expect("a Secret");
    }

    /// Whether the Release of this name is one that the key of a number signed.
    pub async fn is_signed_by(&self, release: &Digest, number: u8) -> bool {
        let release: Release = self.api().get(&release.to_string()).await.expect("the release");
        let keys = KeySet {
            epoch: 1,
            fleet: FLEET.to_owned(),
            release: vec![key(number).public()],
            assignment: vec![],
            gateway_ca: key(9).public(),
        };
        let verified = wasmbed_protocol::Release::verify(&release.spec.cose.0, &keys);
        verified.is_ok_and(|(name, _)| Some(name.to_string()) == release.metadata.name)
    }

    /// `wasmbed reconcile --once`, by a process that remembers nothing.
    pub async fn reconcile(&self) -> Summary {
        reconcile_once(self.options()).await.expect("reconciled")
    }

    /// A reconciler that remembers; see [`step`].
    pub fn reconciler(&self) -> Reconciler {
        Reconciler::new(&self.options()).expect("caches")
    }

    /// The reconciler as it runs.
    pub fn run(&self) -> Running {
        self.run_with(self.options())
    }

    pub fn run_with(&self, options: Options) -> Running {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let ended = run(options, async { drop(stopped.await) }).await;
            ended.expect("runs until told to stop");
        });
        Running { stop: Some(stop), task }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), FLEET)
    }

    pub async fn names<K>(&self) -> Vec<String>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let list = self.api::<K>().list(&Default::default()).await.expect("listed");
        list.items.iter().filter_map(|object| object.meta().name.clone()).collect()
    }

    pub async fn device(&self, name: &str) -> Device {
        self.api().get(name).await.expect("the device")
    }

    pub async fn application(&self, name: &str) -> Application {
        self.api().get(name).await.expect("the application")
    }

    pub async fn gateway(&self, name: &str) -> Gateway {
        self.api().get(name).await.expect("the gateway")
    }

    pub async fn rollout(&self, name: &str) -> Rollout {
        self.api().get(name).await.expect("the rollout")
    }

    pub async fn releases(&self) -> Vec<Release> {
        self.api().list(&Default::default()).await.expect("listed").items
    }

    pub async fn status(&self) -> FleetStatus {
        self.api::<Fleet>().get(FLEET).await.expect("the fleet").status.unwrap_or_default()
    }

    /// Changes an object as a person does with `kubectl patch`.
    pub async fn patch<K>(&self, name: &str, patch: Value)
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let by_hand = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
        self.api::<K>().patch(name, &by_hand, &Patch::Merge(patch)).await.expect("patched");
    }

    /// Deletes a status by hand.
    pub async fn wipe_status<K>(&self, name: &str)
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        let by_hand = PatchParams::default();
        let nothing = json!({ "status": null });
        self.api::<K>().patch_status(name, &by_hand, &Patch::Merge(nothing)).await.expect("wiped");
    }

    /// Says what a gateway says of a device.
    pub async fn device_reports(&self, name: &str, phase: &str, applications: Value) {
        let status = json!({
            "apiVersion": "wasmbed.github.io/v0", "kind": "Device", "metadata": { "name": name },
            "status": { "phase": phase, "applications": applications },
        });
        let gateway = PatchParams::apply("wasmbed-gateway").force();
        self.api::<Device>().patch_status(name, &gateway, &Patch::Apply(status)).await.expect("reported");
    }

    /// Waits until something is so.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, mut is_so: impl FnMut() -> F) {
        let wait = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
    }
}

/// The key of a number.
fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

/// Fetches and makes passes until nothing changes.
pub async fn step(reconciler: &mut Reconciler) -> Summary {
    reconciler.list().await.expect("listed");
    reconciler.fetch().await;
    reconciler.settle_down().await.expect("settled")
}

/// A reconciler in a task.
pub struct Running {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    pub async fn stop(mut self) {
        drop(self.stop.take());
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends").expect("ended well");
    }
}
