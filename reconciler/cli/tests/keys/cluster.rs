//! A fleet whose keys are Secrets of the system namespace, and a device of it.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use wasmbed_api::{Fleet, Gateway, Release, Rollout};
use wasmbed_control_plane::{ControlPlane, Options, Served};
use wasmbed_health::Health;
use wasmbed_keys::{KeySource, SecretPlace, assignment_secret};

use super::lines::{Lines, wait_for};
use super::repository::Repository;
use super::running::{Running, program};
use super::source::{manifest, ticker};

pub const FLEET: &str = "north";
pub const SYSTEM: &str = "wasmbed-system";
const GATEWAY: &str = "gateway-1";

const DECLARATIONS: &str = "\
apiVersion: wasmbed.io/v1
kind: Gateway
metadata: {name: gateway-1}
spec: {config: {heartbeatInterval: 1s, connectionTimeout: 10s}}
---
apiVersion: wasmbed.github.io/v0
kind: Device
metadata: {name: own}
spec: {mcuType: Host, gatewayId: gateway-1, publicKey: KEY}
---
apiVersion: wasmbed.github.io/v1alpha1
kind: Application
metadata: {name: ticker}
spec:
  source: {path: apps/ticker}
  targetDevices: [own]
";

/// Everything but the device. Ended when it is dropped.
pub struct Cluster {
    pub client: kube::Client,
    pub repository: Repository,
    runtime: Runtime,
    ends: Vec<oneshot::Sender<()>>,
    processes: Vec<Running>,
    address: String,
    _builder: Builder,
    _served: Served,
    _control_plane: ControlPlane,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// A cluster on which keys were published, with everything running.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`Cluster::start`], with arguments that name a registry for large modules.
    pub fn start_with(registry: &[String]) -> Self {
        // Another test of this process may have installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::Builder::new().prefix("wasmbed-e2e-").tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let repository = Repository::create(folder.path());
        let (control_plane, client, served) = runtime.block_on(async {
            let options = Options::new(folder.path().join("api"), wasmbed_api::crds()).namespace(FLEET);
            let control_plane = ControlPlane::open(options.namespace(SYSTEM)).await.unwrap();
            let served = control_plane.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let client = control_plane.client(FLEET);
            (control_plane, client, served)
        });
        served.write_kubeconfig(&folder.path().join("kubeconfig"), FLEET).unwrap();
        let mut builder = program();
        builder.args(["builder", "--socket"]).arg(folder.path().join("builder.sock")).arg("--folder");
        builder.arg(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("builder"));
        let mut this = Self {
            client,
            repository,
            runtime,
            ends: Vec::new(),
            processes: Vec::new(),
            address: String::new(),
            // It ends when its standard input does, as a child of a supervisor does.
            _builder: Builder(builder.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()),
            _served: served,
            _control_plane: control_plane,
            folder,
        };
        let made = this.keys(&["publish", "--gateway", GATEWAY]);
        assert_eq!(made["made"].as_array().unwrap().len(), 5, "four keys and the gateway's: {made}");
        this.serve(registry);
        this
    }

    fn serve(&mut self, registry: &[String]) {
        let url = self.repository.bare.display().to_string();
        self.repository.write("apps/ticker/Cargo.toml", &manifest("ticker"));
        self.repository.write("fleet.yaml", DECLARATIONS.split("---").next().unwrap());
        self.repository.push("A gateway");
        let fleet = json!({
            "apiVersion": "wasmbed.github.io/v1alpha1", "kind": "Fleet", "metadata": { "name": FLEET },
            "spec": { "url": url, "branch": "main" },
        });
        let fleets = Api::<Fleet>::namespaced(self.client.clone(), FLEET);
        let parameters = PatchParams::apply("test");
        self.runtime.block_on(fleets.patch(FLEET, &parameters, &Patch::Apply(fleet))).unwrap();

        let place = |name: String| SecretPlace { namespace: SYSTEM.to_owned(), name };
        let socket = self.path("signer.sock");
        let signer = wasmbed_signer::Options {
            client: self.client.clone(),
            namespace: FLEET.to_owned(),
            fleet: FLEET.to_owned(),
            assignment_key: KeySource::Secret(place(assignment_secret(FLEET))),
            door: socket.clone().into(),
            health: Health::default(),
        };
        let told = self.told();
        self.runtime.spawn(async move { wasmbed_signer::run(signer, told).await.unwrap() });
        let path = |name: &str| self.path(name);
        let component = |name: &str| {
            let mut command = program();
            command.arg(name).args(["--namespace", FLEET, "--system-namespace", SYSTEM]).args(registry);
            command.arg("--kubeconfig").arg(path("kubeconfig"));
            command
        };
        let mut reconcile = component("reconcile");
        reconcile.arg("--cache").arg(path("reconciler")).arg("--builder").arg(path("builder.sock"));
        let mut gateway = component("gateway");
        gateway.args(["--name", GATEWAY, "--drain", "0"]).arg("--signer").arg(&socket);
        self.processes =
            vec![Running::start("the reconciler", &mut reconcile), Running::start("the gateway", &mut gateway)];
        let gateways = Api::<Gateway>::namespaced(self.client.clone(), FLEET);
        let address = || self.runtime.block_on(gateways.get_opt(GATEWAY)).unwrap()?.status?.address;
        self.address = wait_for("the gateway serves", address, Option::is_some).unwrap().to_string();
    }

    fn told(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let (end, ended) = oneshot::channel();
        self.ends.push(end);
        async move {
            let _: Result<(), _> = ended.await;
        }
    }

    /// A path in the cluster's own folder; `kubeconfig` is the administrator's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The administrator's state folder.
    pub fn state(&self) -> PathBuf {
        self.path("admin")
    }

    /// What the API answers.
    pub fn wait<T>(&self, answer: impl Future<Output = kube::Result<T>>) -> T {
        self.runtime.block_on(answer).unwrap()
    }

    /// `wasmbed keys` as an administrator runs it, for the cluster.
    pub fn keys(&self, arguments: &[&str]) -> Value {
        let mut command = program();
        command.env("WASMBED_STATE", self.state()).args(["--output", "json", "keys"]).args(arguments);
        if arguments != ["show"] {
            command.arg("--kubeconfig").arg(self.path("kubeconfig")).args(["--namespace", FLEET]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "wasmbed keys {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Declares the device and has the application say a word, again and again.
    pub fn push(&self, device: &Device, word: &str) {
        self.repository.write("fleet.yaml", &DECLARATIONS.replace("KEY", &device.key));
        self.repository.write("apps/ticker/src/main.rs", &ticker(word, 50));
        self.repository.push(&format!("Say {word}"));
    }

    /// The Release that the application's Rollout leads to, and its signed bytes.
    pub fn release(&self) -> Option<(String, Vec<u8>)> {
        self.runtime.block_on(async {
            let rollouts = Api::<Rollout>::namespaced(self.client.clone(), FLEET);
            let spec = rollouts.get_opt("ticker").await.unwrap()?.spec;
            let name = spec.candidate.or(spec.stable)?.to_string();
            let releases = Api::<Release>::namespaced(self.client.clone(), FLEET);
            Some((name.clone(), releases.get_opt(&name).await.unwrap()?.spec.cose.0))
        })
    }

    /// Puts a seed into a Secret of the system namespace, as somebody who may write there.
    pub fn put_seed(&self, secret: &str, seed: &[u8]) {
        let secrets = Api::<k8s_openapi::api::core::v1::Secret>::namespaced(self.client.clone(), SYSTEM);
        let patch = json!({ "data": { "seed": k8s_openapi::ByteString(seed.to_vec()) } });
        self.runtime.block_on(secrets.patch(secret, &PatchParams::default(), &Patch::Merge(patch))).unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // They end before what they stand on.
        self.processes.clear();
        self.ends.clear();
    }
}

/// Killed when it is dropped.
struct Builder(Child);

impl Drop for Builder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A device in a folder of its own.
pub struct Device {
    folder: PathBuf,
    pub key: String,
}

impl Device {
    pub fn provision(cluster: &Cluster) -> Self {
        let folder = cluster.path("own");
        let mut command = program();
        command.env("WASMBED_STATE", cluster.state()).args(["provision", "--output", "json"]);
        command.arg("--kubeconfig").arg(cluster.path("kubeconfig"));
        let output = command.args(["--gateway", &cluster.address]).arg(&folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let provisioned: Value = serde_json::from_slice(&output.stdout).unwrap();
        Self { folder, key: provisioned["publicKey"].as_str().unwrap().to_owned() }
    }

    pub fn start(&self) -> (Running, Lines) {
        let mut command = program();
        command.env("RUST_LOG", "info").args(["device", "--dir"]).arg(&self.folder);
        Running::start_with_errors("the device", &mut command)
    }
}

/// Waits until the application says the word.
pub fn says(log: &mut Lines, word: &str) {
    log.next(&format!("the word {word:?}"), |line| line.contains(&format!("{word} ")).then_some(()));
}
