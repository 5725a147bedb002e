//! A fleet with one gateway, in a folder of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wasmbed_api::labels::{GATEWAY, KEYSET, KEYSET_ENTRY, MODULE_ENTRY};
use wasmbed_api::{
    Device, DevicePhase, DeviceSpec, DeviceStatus, Gateway, GatewayConfig, GatewaySpec, GatewayStatus, Release,
    ReleaseSpec,
};
use wasmbed_control_plane::ControlPlane;
use wasmbed_gateway::{Limits, Options};
use wasmbed_protocol::signed::{
    Artifact, Assignment, Capabilities, Configuration, Entry, Format, IoLimits, Limits as ReleaseLimits, RestartPolicy,
    RunState,
};
use wasmbed_protocol::{Credential, KeySet, ModuleDigest, Nonce, ReleaseDigest, Thumbprint};
use wasmbed_streams::live::LiveHub;

use crate::device::{PATIENCE, key};
use crate::signer::Signer;

pub(crate) const NAMESPACE: &str = "wasmbed";
pub(crate) const FLEET: &str = "example";
pub(crate) const NAME: &str = "gateway-1";
pub(crate) const ROOT: u8 = 201;
pub(crate) const RELEASE_KEY: u8 = 202;
pub(crate) const ASSIGNMENT_KEY: u8 = 203;
pub(crate) const GATEWAY_CA: u8 = 204;
pub(crate) const TLS: u8 = 205;

pub(crate) struct Fleet {
    pub(crate) client: Client,
    pub(crate) signer: Signer,
    pub(crate) live: LiveHub,
    pub(crate) address: String,
    pub(crate) limits: Limits,
    pub(crate) health: wasmbed_health::Health,
    /// How long the gateway that is started next lets its sessions end.
    pub(crate) drain: Duration,
    /// Where the gateway listens that is started next.
    pub(crate) listen: SocketAddr,
    gateway: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _control_plane: Arc<ControlPlane>,
    folder: tempfile::TempDir,
}

/// A process that serves the gateway beside others.
pub(crate) struct Replica {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    pub(crate) address: String,
}

impl Replica {
    /// Ends it in order.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
    }

    /// Ends it as a machine that loses power does: it says nothing more to the API.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.expect_err("it did not end by itself").is_cancelled());
    }
}

/// Waits until something is so.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to be so");
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        Self::with(GatewaySpec::default(), Limits::default()).await
    }

    pub(crate) async fn with(spec: GatewaySpec, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = wasmbed_control_plane::Options::new(folder.path().join("api"), wasmbed_api::crds());
        let control_plane = Arc::new(ControlPlane::open(options.namespace(NAMESPACE)).await.unwrap());
        let client = control_plane.client(NAMESPACE);
        let signer = Signer::start(&folder.path().join("signer.sock")).await;
        let mut fleet = Self {
            client,
            signer,
            live: LiveHub::default(),
            address: String::new(),
            limits,
            health: wasmbed_health::Health::default(),
            drain: Duration::ZERO,
            listen: "127.0.0.1:0".parse().unwrap(),
            gateway: None,
            _control_plane: control_plane,
            folder,
        };
        fleet.write_keyset(1).await;
        let credential = Credential { fleet: FLEET.into(), gateway: NAME.into(), tls_key: key(TLS).public() };
        let data =
            [("tls.seed", key(TLS).seed().to_vec()), ("credential.cose", credential.sign(&key(GATEWAY_CA)).unwrap())];
        let data = data.into_iter().map(|(entry, bytes)| (entry.to_owned(), ByteString(bytes))).collect();
        let metadata = ObjectMeta { name: Some(format!("gateway-{NAME}")), ..ObjectMeta::default() };
        let secret = Secret { metadata, data: Some(data), ..Secret::default() };
        fleet.api::<Secret>().create(&PostParams::default(), &secret).await.unwrap();
        fleet.api::<Gateway>().create(&PostParams::default(), &Gateway::new(NAME, spec)).await.unwrap();
        fleet.start_gateway().await;
        fleet
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("signer.sock")
    }

    pub(crate) fn options(&self, listen: SocketAddr) -> Options {
        Options {
            client: self.client.clone(),
            namespace: NAMESPACE.into(),
            name: NAME.into(),
            identity_namespace: NAMESPACE.into(),
            identity_secret: format!("gateway-{NAME}"),
            replica: None,
            listen,
            advertise: None,
            signer: self.socket().into(),
            registry: None,
            drain: self.drain,
            health: self.health.clone(),
            live: self.live.clone(),
            limits: self.limits.clone(),
        }
    }

    pub(crate) async fn start_gateway(&mut self) {
        let (stop, stopped) = oneshot::channel();
        // A process has one of its own.
        self.health = wasmbed_health::Health::default();
        let options = self.options(self.listen);
        let task = tokio::spawn(async move {
            wasmbed_gateway::run(options, async {
                let _ = stopped.await;
            })
            .await
            .unwrap();
        });
        self.gateway = Some((stop, task));
        // What the last one said, that it could not listen perhaps, is not what this one says.
        let has_begun = |status: &GatewayStatus| {
            status.address.is_some() && status.phase.is_some_and(|phase| phase.as_str() != "Pending")
        };
        let status = self.wait_gateway(has_begun).await;
        self.address = status.address.unwrap().to_string();
    }

    /// Starts one of several processes that serve the gateway. Devices reach it at `listen`.
    pub(crate) fn start_replica(&self, name: &str, listen: SocketAddr) -> Replica {
        let (stop, stopped) = oneshot::channel();
        let options = Options {
            replica: Some(name.to_owned()),
            advertise: Some("gateway-1.example.org:7443".parse().unwrap()),
            ..self.options(listen)
        };
        let task = tokio::spawn(async move {
            wasmbed_gateway::run(options, async {
                let _ = stopped.await;
            })
            .await
            .unwrap();
        });
        Replica { stop, task, address: listen.to_string() }
    }

    pub(crate) async fn stop_gateway(&mut self) {
        let (stop, task) = self.gateway.take().unwrap();
        let _ = stop.send(());
        tokio::time::timeout(PATIENCE, task).await.expect("it stops").unwrap();
    }

    pub(crate) async fn write_keyset(&self, epoch: u64) -> KeySet {
        let keyset = KeySet {
            epoch,
            fleet: FLEET.into(),
            release: vec![key(RELEASE_KEY).public()],
            assignment: vec![key(ASSIGNMENT_KEY).public()],
            gateway_ca: key(GATEWAY_CA).public(),
        };
        let data = [(KEYSET_ENTRY.to_owned(), ByteString(keyset.sign(&key(ROOT)).unwrap()))].into();
        let metadata = ObjectMeta { name: Some(KEYSET.into()), ..ObjectMeta::default() };
        self.apply(&ConfigMap { metadata, binary_data: Some(data), ..ConfigMap::default() }).await;
        keyset
    }

    /// Declares a Device of this gateway.
    pub(crate) async fn declare(&self, name: &str, spec: DeviceSpec) {
        let mut device = Device::new(name, spec);
        device.metadata.labels = Some([(GATEWAY.to_owned(), NAME.to_owned())].into());
        self.apply(&device).await;
    }

    /// Declares a Device with the key of this number.
    pub(crate) async fn declare_key(&self, name: &str, number: u8) {
        let public_key = Some(wasmbed_api::PublicKey::from_bytes(key(number).public().0));
        self.declare(name, DeviceSpec { public_key, ..DeviceSpec::default() }).await;
    }

    pub(crate) async fn change_gateway(&self, spec: GatewaySpec) {
        self.apply(&Gateway::new(NAME, spec)).await;
    }

    /// Puts a Release of one module into the API, and the module too if it is to be there.
    pub(crate) async fn release(&self, application: &str, module: &[u8], with_module: bool) -> ReleaseDigest {
        let digest = ModuleDigest::of(module);
        let release = wasmbed_protocol::Release {
            fleet: FLEET.into(),
            application: application.into(),
            artifacts: vec![Artifact {
                platform: "wasm32".into(),
                format: Format::Wasm,
                digest,
                size: u32::try_from(module.len()).unwrap(),
            }],
            config: Configuration { env: Default::default(), args: vec![] },
            limits: ReleaseLimits {
                memory: 65536,
                cpu_ms_per_s: 100,
                io: IoLimits { log_bytes_per_s: 1024, publish_per_s: 1, publish_bytes_per_s: 1024 },
            },
            capabilities: Capabilities { publish: vec![], gpio: vec![], adc: vec![], network: vec![] },
            restart: RestartPolicy { auto: true, max: 3 },
        };
        let name = release.digest().unwrap();
        let cose = release.sign(&key(RELEASE_KEY)).unwrap();
        // The readable part is for people; the gateway reads the signed bytes alone.
        let spec = ReleaseSpec {
            fleet: FLEET.into(),
            application: application.parse().unwrap(),
            revision: None,
            artifacts: vec![],
            config: Default::default(),
            limits: wasmbed_api::Limits {
                memory_bytes: 65536,
                cpu_millis: 100,
                log_bytes_per_second: 1024,
                messages_per_second: 1,
            },
            capabilities: Default::default(),
            restart: wasmbed_api::RestartPolicy { automatic: true, max: 3 },
            cose: ByteString(cose),
        };
        self.apply(&Release::new(&name.to_string(), spec)).await;
        if with_module {
            self.module(module).await;
        }
        name
    }

    pub(crate) async fn module(&self, module: &[u8]) {
        let metadata =
            ObjectMeta { name: Some(format!("module-{}", ModuleDigest::of(module))), ..ObjectMeta::default() };
        let data = [(MODULE_ENTRY.to_owned(), ByteString(module.to_vec()))].into();
        self.apply(&ConfigMap { metadata, binary_data: Some(data), ..ConfigMap::default() }).await;
    }

    /// What the signer would sign.
    pub(crate) fn assignment(&self, device: u8, nonce: Nonce, n: u64, releases: &[(&str, ReleaseDigest)]) -> Vec<u8> {
        let entries = releases.iter().map(|(application, release)| Entry {
            application: (*application).to_owned(),
            release: *release,
            state: RunState::Run,
            restart: 0,
        });
        let assignment = Assignment {
            fleet: FLEET.into(),
            device: Thumbprint(key(device).public().thumbprint().0),
            nonce,
            n,
            gateway: NAME.into(),
            entries: entries.collect(),
        };
        assignment.sign(&key(ASSIGNMENT_KEY)).unwrap()
    }

    /// Waits until a Device's status is as it should be.
    pub(crate) async fn wait_device(&self, name: &str, is: impl Fn(&DeviceStatus) -> bool) -> DeviceStatus {
        let right = |device: Option<&Device>| device.and_then(|device| device.status.as_ref()).is_some_and(&is);
        let waiting = await_condition(self.api::<Device>(), name, right);
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        let Ok(found) = found else {
            panic!("{name} did not get there: {:#?}", self.api::<Device>().get(name).await.unwrap().status)
        };
        found.unwrap().unwrap().status.unwrap()
    }

    pub(crate) async fn wait_phase(&self, name: &str, phase: DevicePhase) -> DeviceStatus {
        self.wait_device(name, |status| status.phase == Some(phase)).await
    }

    pub(crate) async fn wait_gateway(&self, is: impl Fn(&GatewayStatus) -> bool) -> GatewayStatus {
        let right = |gateway: Option<&Gateway>| gateway.and_then(|gateway| gateway.status.as_ref()).is_some_and(&is);
        let waiting = await_condition(self.api::<Gateway>(), NAME, right);
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        let Ok(found) = found else {
            panic!("the gateway did not get there: {:#?}", self.api::<Gateway>().get(NAME).await.unwrap().status)
        };
        found.unwrap().unwrap().status.unwrap()
    }

    /// Writes a part of a Device's status as somebody else.
    pub(crate) async fn patch_device_status(&self, name: &str, status: serde_json::Value) {
        let patch = Patch::Merge(json!({ "status": status }));
        self.api::<Device>().patch_status(name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn apply<K>(&self, object: &K)
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope>
            + serde::Serialize
            + serde::de::DeserializeOwned
            + Clone
            + std::fmt::Debug,
        K::DynamicType: Default,
    {
        let mut value = serde_json::to_value(object).unwrap();
        value["apiVersion"] = K::api_version(&K::DynamicType::default()).into();
        value["kind"] = K::kind(&K::DynamicType::default()).into();
        let name = object.meta().name.clone().unwrap();
        let params = PatchParams::apply("wasmbed-reconciler").force();
        self.api::<K>().patch(&name, &params, &Patch::Apply(value)).await.unwrap();
    }
}

/// A Gateway's declaration with these times.
pub(crate) fn times(connection: &str, enrollment: &str) -> GatewaySpec {
    let config = GatewayConfig {
        heartbeat_interval: Some("1s".parse().unwrap()),
        connection_timeout: Some(connection.parse().unwrap()),
        enrollment_timeout: Some(enrollment.parse().unwrap()),
    };
    GatewaySpec { config: Some(config), ..GatewaySpec::default() }
}
