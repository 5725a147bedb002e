//! Brings the emulated devices of a namespace to what is declared.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt, stream_select};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector as reflect};
use kube::{Client, ResourceExt};
use serde_json::json;
use wasmbed_agent::Provisioning;
use wasmbed_api::{Device, Gateway, Truth, set_condition};
use wasmbed_health::Health;
use wasmbed_protocol::{PublicKey, SigningKey};

use crate::backends::Backends;
use crate::device::{EmulatedDevice, Playing, StartError, write_private};
use crate::flash::FlashFileError;
use crate::health::Told;
use crate::identity::identity;
use crate::plan::{Emulated, HOST_STANDS_IN, Plan, Player, Run, Wanted, plan};
use crate::process::{Process, ProcessSpec, ProcessState};

/// The field manager of what an emulator writes.
const MANAGER: &str = "wasmbed-emulator";
/// The condition an emulator writes.
const EMULATED: &str = "Emulated";
/// What failed is tried again after this, if nothing changes before.
const AGAIN: Duration = Duration::from_secs(2);
/// How often it is looked whether an emulator or a firmware image came, or another image was built.
const LOOK: Duration = Duration::from_secs(5);

/// What an emulator needs.
pub struct Options {
    /// The API.
    pub client: Client,
    /// The fleet's namespace.
    pub namespace: String,
    /// Name of the Fleet.
    pub fleet: String,
    /// The fleet's root key, which devices are provisioned with.
    pub root: PublicKey,
    /// Each device's folder is made in here.
    pub devices: PathBuf,
    /// Each device's output goes to `device-NAME.log` in here.
    pub logs: PathBuf,
    /// The program `wasmbed`: called with `device --dir DIR --with-parent` it plays a device, with `with-parent` it ties an
    /// emulator to this process, and with `connect HOST:PORT` it is a guest's way to its gateway.
    pub program: PathBuf,
    /// Where firmware images are looked for, the first folder that has one first.
    pub firmware: Vec<PathBuf>,
    /// Where it says how it is.
    pub health: Health,
}

/// Why a device cannot be emulated now; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// The API refused, or is away.
    #[error("the API: {0}")]
    Api(#[from] kube::Error),
    /// The Secret is not what this program writes.
    #[error("the Secret {secret} does not hold a 32-byte `seed`: delete it to give the device a new identity")]
    Identity {
        /// Its name.
        secret: String,
    },
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Entropy(String),
    /// The device's folder cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Folder {
        /// What cannot be written.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// Its identity does not fit a device.
    #[error("a device cannot be provisioned: {0}")]
    Provisioning(#[from] wasmbed_agent::ProvisioningError),
    /// Its emulator cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What plays it ended, and waits to be started again.
    #[error("what plays it ended ({end}) and is started again; {} says more", output.display())]
    Ended {
        /// How.
        end: String,
        /// What it printed.
        output: PathBuf,
    },
}

impl EmulatorError {
    /// One CamelCase word for the Device's condition.
    fn reason(&self) -> &'static str {
        match self {
            Self::Start(StartError::Flash(FlashFileError::Damaged { .. })) => "FlashDamaged",
            Self::Start(StartError::Flash(FlashFileError::InUse { .. })) => "FlashInUse",
            Self::Ended { .. } => "Ended",
            _ => "CannotStart",
        }
    }
}

/// Runs the emulated devices of a namespace until `shutdown` completes, then ends them.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) {
    let (devices, device_writer) = reflector::store::<Device>();
    let (gateways, gateway_writer) = reflector::store::<Gateway>();
    let device_api = Api::<Device>::namespaced(options.client.clone(), &options.namespace);
    let device_events = reflect(device_writer, watcher(device_api, watcher::Config::default()).default_backoff());
    let gateway_api = Api::<Gateway>::namespaced(options.client.clone(), &options.namespace);
    let gateway_events = reflect(gateway_writer, watcher(gateway_api, watcher::Config::default()).default_backoff());
    let mut changes = pin!(stream_select!(
        device_events.map(|event| event.map(|event| (0, matches!(event, Event::InitDone)))).boxed(),
        gateway_events.map(|event| event.map(|event| (1, matches!(event, Event::InitDone)))).boxed(),
    ));
    let mut shutdown = pin!(shutdown);
    let mut emulator = Emulator::new(options);
    let (mut listed, mut again) = ([false; 2], false);
    loop {
        tokio::select! {
            Some(change) = changes.next() => {
                note(&mut listed, change);
                // However many changes came at once, they are brought about in one go.
                while let Some(Some(change)) = changes.next().now_or_never() {
                    note(&mut listed, change);
                }
            }
            () = tokio::time::sleep(if again { AGAIN } else { LOOK }) => {}
            () = &mut shutdown => break,
        }
        // Before both were listed, what is missing may only not have been seen yet.
        if listed == [true; 2] {
            again = !emulator.bring_to(&devices, &gateways).await;
        }
    }
    emulator.stop().await;
}

/// Notes in `listed` which kinds were listed whole.
fn note(listed: &mut [bool; 2], change: watcher::Result<(usize, bool)>) {
    match change {
        Ok((kind, all)) => listed[kind] |= all,
        Err(error) => tracing::warn!(%error, "the API cannot be watched; trying again"),
    }
}

struct Emulator {
    options: Options,
    devices: Api<Device>,
    secrets: Api<Secret>,
    identities: BTreeMap<String, SigningKey>,
    running: BTreeMap<String, Running>,
    backends: Backends,
    looked: Instant,
    told: Told,
}

/// A device that runs, and what it was started with.
struct Running {
    player: Player,
    provisioning: Provisioning,
    process: Started,
}

enum Started {
    Host(Process),
    Emulator(Playing),
}

impl Emulator {
    fn new(options: Options) -> Self {
        Self {
            devices: Api::namespaced(options.client.clone(), &options.namespace),
            secrets: Api::namespaced(options.client.clone(), &options.namespace),
            identities: BTreeMap::new(),
            running: BTreeMap::new(),
            backends: Backends::find(&options.firmware),
            looked: Instant::now(),
            told: Told::new(&options.health),
            options,
        }
    }

    /// Brings every device to what is declared; says whether all of it worked.
    async fn bring_to(&mut self, devices: &Store<Device>, gateways: &Store<Gateway>) -> bool {
        if self.looked.elapsed() >= LOOK {
            self.backends = Backends::find(&self.options.firmware);
            self.looked = Instant::now();
        }
        let gateways: Vec<Gateway> = gateways.state().iter().map(|gateway| (**gateway).clone()).collect();
        let declared: BTreeMap<String, (Plan, std::sync::Arc<Device>)> = devices
            .state()
            .into_iter()
            .filter(|device| device.metadata.deletion_timestamp.is_none())
            .filter_map(|device| Some((device.name_any(), (plan(&device, &gateways, &self.backends)?, device))))
            .collect();
        let gone: Vec<String> = self.running.keys().filter(|name| !declared.contains_key(*name)).cloned().collect();
        for name in gone {
            self.end(&name).await;
        }
        let count = declared.len();
        let mut worked = true;
        for (name, (plan, device)) in declared {
            worked &= self.bring_one(&name, &plan, &device).await.unwrap_or_else(|error| {
                tracing::warn!(device = name, %error, "a device cannot be emulated; trying again");
                false
            });
        }
        let running = self.running.values().filter(|running| running.process.state().borrow().id.is_some()).count();
        self.told.says(count, running, worked);
        worked
    }

    /// Brings a device to its plan, and says so in its status; whether it is what the plan wants.
    async fn bring_one(&mut self, name: &str, plan: &Plan, device: &Device) -> Result<bool, EmulatorError> {
        let key = match self.identities.get(name) {
            Some(key) => key.clone(),
            None => self.identities.entry(name.to_owned()).or_insert(identity(&self.secrets, name).await?).clone(),
        };
        let brought = match &plan.process {
            Wanted::Runs(run) => self.run(name, run, &key).await,
            Wanted::Kept => Ok(()),
            Wanted::Off => {
                self.end(name).await;
                Ok(())
            }
        };
        let said = match &brought {
            Ok(()) => plan,
            Err(error) => &Plan {
                process: Wanted::Off,
                emulated: Truth::False,
                reason: error.reason(),
                message: error.to_string(),
            },
        };
        if self.write_status(name, said, device, &key).await? {
            match &brought {
                Err(error) => tracing::warn!(device = name, %error, "a device cannot be emulated; trying again"),
                Ok(()) if plan.reason == HOST_STANDS_IN => tracing::warn!(device = name, "{}", plan.message),
                Ok(()) => {}
            }
        }
        Ok(brought.is_ok())
    }

    /// Has the device run as `run` says, started anew if it ran otherwise.
    async fn run(&mut self, name: &str, run: &Run, key: &SigningKey) -> Result<(), EmulatorError> {
        let provisioning = Provisioning {
            seed: *key.seed(),
            root: *self.options.root.as_bytes(),
            fleet: self.options.fleet.clone(),
            gateways: vec![run.gateway.to_string()],
            pairing: None,
            address: None,
        };
        let is_same = |running: &Running| running.player == run.player && running.provisioning == provisioning;
        if let Some(running) = self.running.get(name).filter(|running| is_same(running)) {
            let state = running.process.state().borrow().clone();
            return match (state.id, state.last_end) {
                (None, Some(end)) => Err(EmulatorError::Ended { end, output: running.process.output().to_owned() }),
                _ => Ok(()),
            };
        }
        self.end(name).await;
        let process = match &run.player {
            Player::Host => Started::Host(self.start_host(name, &provisioning)?),
            Player::Emulator(emulated) => Started::Emulator(self.start_emulator(name, emulated, &provisioning, run)?),
        };
        self.running.insert(name.to_owned(), Running { player: run.player.clone(), provisioning, process });
        Ok(())
    }

    fn start_host(&self, name: &str, provisioning: &Provisioning) -> Result<Process, EmulatorError> {
        let folder = self.options.devices.join(name);
        let path = folder.join("provisioning.cbor");
        let bytes = provisioning.encode()?;
        let write = || {
            std::fs::create_dir_all(&folder)?;
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
            write_private(&path, &bytes)
        };
        write().map_err(|source| EmulatorError::Folder { path: path.clone(), source })?;
        Ok(Process::start(ProcessSpec {
            name: format!("device {name}"),
            program: self.options.program.clone(),
            arguments: vec!["device".into(), "--dir".into(), folder.into(), "--with-parent".into()],
            environment: Vec::new(),
            folder: None,
            output: self.output(name),
        }))
    }

    fn start_emulator(
        &self,
        name: &str,
        emulated: &Emulated,
        provisioning: &Provisioning,
        run: &Run,
    ) -> Result<Playing, EmulatorError> {
        let device = EmulatedDevice {
            name: format!("device {name}"),
            emulated: emulated.clone(),
            provisioning: provisioning.clone(),
            gateways: vec![run.gateway.clone()],
            folder: self.options.devices.join(name),
            output: self.output(name),
            program: self.options.program.clone(),
        };
        Ok(device.start()?)
    }

    fn output(&self, name: &str) -> PathBuf {
        self.options.logs.join(format!("device-{name}.log"))
    }

    /// Writes what an emulator says of a Device, where it is not said already; whether the condition is another now.
    async fn write_status(
        &self,
        name: &str,
        plan: &Plan,
        device: &Device,
        key: &SigningKey,
    ) -> Result<bool, EmulatorError> {
        let status = device.status.clone().unwrap_or_default();
        let public_key = wasmbed_api::PublicKey::from_bytes(*key.public().as_bytes());
        let (generation, now) = (device.metadata.generation, jiff::Timestamp::now());
        let mut conditions = status.conditions.clone();
        set_condition(&mut conditions, EMULATED, plan.emulated, plan.reason, &plan.message, generation, now);
        let is_new = conditions != status.conditions;
        if status.public_key == Some(public_key) && !is_new {
            return Ok(false);
        }
        conditions.retain(|condition| condition.type_ == EMULATED);
        let patch = json!({
            "apiVersion": "wasmbed.github.io/v0", "kind": "Device", "metadata": { "name": name },
            "status": { "publicKey": public_key, "conditions": conditions },
        });
        self.devices.patch_status(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch)).await?;
        Ok(is_new)
    }

    async fn end(&mut self, name: &str) {
        if let Some(running) = self.running.remove(name) {
            running.process.stop().await;
        }
    }

    async fn stop(self) {
        futures::future::join_all(self.running.into_values().map(|running| running.process.stop())).await;
    }
}

impl Started {
    fn state(&self) -> tokio::sync::watch::Receiver<ProcessState> {
        match self {
            Self::Host(process) => process.state(),
            Self::Emulator(playing) => playing.state(),
        }
    }

    fn output(&self) -> &Path {
        match self {
            Self::Host(process) => process.output(),
            Self::Emulator(playing) => playing.output(),
        }
    }

    async fn stop(self) {
        match self {
            Self::Host(process) => process.stop().await,
            Self::Emulator(playing) => playing.stop().await,
        }
    }
}
