//! First light by the components one by one: pushes reach devices though the leader and a gateway are killed on the way, on a cluster and on
//! the embedded edition alike.

use std::fmt::Debug;
use std::path::Path;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use wasmbed_api::{Application, Device, Fleet, Gateway, Release};

use crate::chart::SYSTEM;
use crate::edition::{Component, Edition, GATEWAY, TENANT};
use crate::lines::{DEADLINE, Lines};
use crate::on_embedded::OnEmbedded;
use crate::on_kubernetes::OnKubernetes;
use crate::pod::Pod;
use crate::repository::Repository;
use crate::running::{Running, program};
use crate::source::{manifest, ticker};

const DEVICES: [&str; 3] = ["one", "two", "three"];
const DECLARED: &str = "\
apiVersion: wasmbed.io/v1
kind: Gateway
metadata: {name: gateway-1}
spec: {endpoint: gateway-1.example.org, config: {heartbeatInterval: 1s, connectionTimeout: 10s}}
";
const TICKER: &str = "\
apiVersion: wasmbed.github.io/v1alpha1
kind: Application
metadata: {name: ticker}
spec:
  source: {path: apps/ticker}
  targetSelector: {matchLabels: {site: north}}
";

/// A device that runs, and the words it says.
struct OwnDevice {
    name: &'static str,
    process: Running,
    log: Lines,
}

struct Story {
    admin: Client,
    repository: Repository,
    devices: Vec<OwnDevice>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_a_cluster_pushes_reach_devices_though_the_leader_and_a_gateway_are_killed_and_rbac_denies_nothing() {
    let Some(edition) = OnKubernetes::install().await else { return };
    tell(edition).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_the_embedded_edition_pushes_reach_devices_though_the_leader_and_a_gateway_are_killed() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tell(OnEmbedded::open().await).await;
}

async fn tell(mut edition: impl Edition) {
    // What a person does, once it is installed.
    let (admin, folder) = (edition.admin(), edition.folder().to_owned());
    let keys = folder.join("keys");
    publish_keys(&keys, edition.kubeconfig());
    let repository = Repository::create(&folder);
    apply_fleet(&admin, &repository).await;

    // What a cluster does.
    let builders = start_all(&mut edition, Component::Builder).await;
    let signers = start_all(&mut edition, Component::Signer).await;
    let mut reconcilers = start_all(&mut edition, Component::Reconciler).await;
    let mut gateways = start_all(&mut edition, Component::Gateway).await;
    assert_eq!((builders.len(), signers.len(), reconcilers.len(), gateways.len()), (1, 2, 2, 3));

    let address = edition.gateways().to_string();
    let mut story = Story::begin(admin.clone(), repository, &keys, &address, &folder);
    story.runs("one").await;
    let first = story.release().await;
    let status = story.wait::<Gateway>(GATEWAY, |status| status["connectedDevices"] == 3).await;
    assert_eq!(status["replicas"].as_array().unwrap().len(), 3, "{status}");

    // The leader and a gateway that has devices end without a word, in the middle of a push.
    story.say("two");
    let leader = leader(&admin).await;
    let place = reconcilers.iter().position(|pod| leader.starts_with(&pod.name)).expect("one of them leads");
    reconcilers[place].kill();
    let session = story.status_of("one").await["session"]["replica"].as_str().unwrap().to_owned();
    let place = gateways.iter().position(|pod| pod.name == session).expect("a pod has it in session");
    gateways[place].kill();
    story.runs("two").await;
    let second = story.release().await;
    assert_ne!(first, second);
    // What the dead gateway said of itself is taken down, and its devices are in session elsewhere.
    let gone = |status: &Value| {
        let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
        replicas.len() == 2 && status["connectedDevices"] == 3 && replicas.iter().all(|it| it["name"] != *session)
    };
    story.wait::<Gateway>(GATEWAY, gone).await;
    for name in DEVICES {
        let elsewhere = |status: &Value| status["phase"] == "Connected" && status["session"]["replica"] != *session;
        story.wait::<Device>(name, elsewhere).await;
    }

    // A deployment brings another pod in the place of each. A revert brings the old word by the Release that was there, and reverting
    // that builds nothing. (A leader that came anew has built modules of its own time alone in its cache.)
    reconcilers.push(edition.start(Component::Reconciler).await);
    gateways.push(edition.start(Component::Gateway).await);
    gateways.last_mut().unwrap().wait_until_ready().await;
    story.repository.revert();
    story.runs("one").await;
    assert_eq!(story.release().await, first, "the same content is the same Release");
    let built = builds(&builders[0]).await;
    story.repository.revert();
    story.runs("two").await;
    assert_eq!(story.release().await, second);
    assert_eq!(builds(&builders[0]).await, built, "nothing was built for it");
    let releases = Api::<Release>::namespaced(admin.clone(), TENANT).list(&Default::default()).await.unwrap();
    assert_eq!(releases.items.len(), 2);

    // Metrics say what is, and the pods end in order.
    let sessions = sum(&gateways, "wasmbed_gateway_sessions").await;
    assert_eq!(sessions, 3.0, "of all replicas together");
    for pod in gateways.drain(..).chain(reconcilers.drain(..)).chain(signers).chain(builders).filter(Pod::is_running) {
        let name = pod.name.clone();
        assert!(pod.terminate().success(), "{name} ends well when it is told to");
    }
    let leases = Api::<Lease>::namespaced(admin, TENANT).list(&Default::default()).await.unwrap().items;
    let held = |lease: &&Lease| {
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
        !holder.is_empty()
    };
    let held: Vec<_> = leases.iter().filter(held).collect();
    assert!(held.is_empty(), "every Lease was given up: {held:?}");
    edition.look_back();
}

/// Starts as many of a component as there are to be, and waits until they are ready.
async fn start_all(edition: &mut impl Edition, component: Component) -> Vec<Pod> {
    let mut pods = Vec::new();
    for _ in 0..edition.replicas(component) {
        pods.push(edition.start(component).await);
    }
    for pod in &mut pods {
        pod.wait_until_ready().await;
    }
    pods
}

impl Story {
    fn begin(admin: Client, repository: Repository, keys: &Path, address: &str, folder: &Path) -> Self {
        repository.write("gateway.yaml", DECLARED);
        repository.write("ticker.yaml", TICKER);
        repository.write("apps/ticker/Cargo.toml", &manifest("ticker"));
        repository.write("apps/ticker/src/main.rs", &ticker("one", 100));
        let mut devices = Vec::new();
        for name in DEVICES {
            let at = folder.join("devices").join(name);
            let mut provision = program();
            provision.args(["provision", "--output", "json", "--gateway", address, "--state"]).arg(keys).arg(&at);
            let output = provision.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let made: Value = serde_json::from_slice(&output.stdout).unwrap();
            let key = made["publicKey"].as_str().unwrap();
            repository.write(
                &format!("{name}.yaml"),
                &format!(
                    "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {{name: {name}, labels: {{site: north}}}}\n\
                     spec: {{mcuType: Host, gatewayId: gateway-1, publicKey: {key}}}\n"
                ),
            );
            let mut command = program();
            command.env("RUST_LOG", "info").args(["device", "--dir"]).arg(&at);
            let (process, log) = Running::start_with_errors(name, &mut command);
            devices.push(OwnDevice { name, process, log });
        }
        repository.push("The fleet");
        Self { admin, repository, devices }
    }

    /// Has the application say another word, and pushes that.
    fn say(&self, word: &str) {
        self.repository.write("apps/ticker/src/main.rs", &ticker(word, 100));
        self.repository.push(&format!("Say {word}"));
    }

    /// Waits until each device says a word, and the Application runs everywhere.
    async fn runs(&mut self, word: &str) {
        for device in &mut self.devices {
            let said = format!("{word} ");
            tokio::task::block_in_place(|| {
                device.log.skip();
                device.log.next(&format!("{} says {word:?}", device.name), |line| line.contains(&said).then_some(()));
            });
            assert!(device.process.is_running());
        }
        let everywhere = |status: &Value| status["phase"] == "Running" && status["running"] == 3;
        self.wait::<Application>("ticker", everywhere).await;
    }

    /// The Release that the first device runs.
    async fn release(&self) -> String {
        self.status_of(DEVICES[0]).await["applications"][0]["release"].as_str().unwrap().to_owned()
    }

    async fn status_of(&self, device: &str) -> Value {
        let device = Api::<Device>::namespaced(self.admin.clone(), TENANT).get(device).await.unwrap();
        serde_json::to_value(device.status).unwrap()
    }

    /// Waits until an object's status is as it should be, and returns it.
    async fn wait<K>(&self, name: &str, is: impl Fn(&Value) -> bool) -> Value
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + Debug
            + serde::de::DeserializeOwned
            + serde::Serialize,
    {
        let api = Api::<K>::namespaced(self.admin.clone(), TENANT);
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let object = serde_json::to_value(api.get_opt(name).await.unwrap()).unwrap();
            if is(&object["status"]) {
                return object["status"].clone();
            }
            assert!(tokio::time::Instant::now() < deadline, "{name} is still {:#}", object["status"]);
            // Asked again, not slept over: the condition above decides.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

fn publish_keys(keys: &Path, kubeconfig: &Path) {
    let mut publish = program();
    publish.args(["keys", "--state"]).arg(keys).args(["publish", "--kubeconfig"]).arg(kubeconfig);
    publish.args(["--namespace", TENANT, "--system-namespace", SYSTEM, "--fleet", TENANT, "--gateway", GATEWAY]);
    let output = publish.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn apply_fleet(admin: &Client, repository: &Repository) {
    let fleet = json!({
        "apiVersion": "wasmbed.github.io/v1alpha1", "kind": "Fleet", "metadata": { "name": TENANT },
        "spec": { "url": repository.bare, "branch": "main" },
    });
    let api = Api::<Fleet>::namespaced(admin.clone(), TENANT);
    api.patch(TENANT, &PatchParams::apply("kubectl"), &Patch::Apply(fleet)).await.unwrap();
}

/// Who holds the reconcilers' Lease.
async fn leader(admin: &Client) -> String {
    let lease = Api::<Lease>::namespaced(admin.clone(), TENANT).get("wasmbed-reconciler").await.unwrap();
    lease.spec.unwrap().holder_identity.unwrap()
}

/// How many builds a builder ended.
async fn builds(builder: &Pod) -> f64 {
    sum(std::slice::from_ref(builder), "wasmbed_builder_builds_total").await
}

/// What a metric comes to over the pods that run.
async fn sum(pods: &[Pod], metric: &str) -> f64 {
    let mut sum = 0.0;
    for pod in pods {
        let Ok(answer) = pod.get("/metrics").await else { continue };
        let lines = answer.lines().filter(|line| {
            line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
        });
        sum += lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum::<f64>();
    }
    sum
}
