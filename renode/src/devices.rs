//! Brings the emulated devices of a namespace to what is declared.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use futures::{StreamExt, stream_select};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector as reflect};
use kube::{Client, ResourceExt};
use serde_json::json;
use wasmbed_agent::Provisioning;
use wasmbed_api::{Device, Gateway, set_condition};
use wasmbed_protocol::{PublicKey, SigningKey};

use crate::identity::identity;
use crate::plan::{Backends, Plan, Wanted, plan};
use crate::process::{Process, ProcessSpec};

/// The field manager of what an emulator writes.
const MANAGER: &str = "wasmbed-emulator";
/// The condition an emulator writes.
const EMULATED: &str = "Emulated";
/// What failed is tried again after this, if nothing changes before.
const AGAIN: Duration = Duration::from_secs(2);

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
    /// The program that plays a device: called with `device --dir DIR --with-parent`.
    pub program: PathBuf,
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
            Some(change) = changes.next() => match change {
                Ok((kind, all)) => listed[kind] |= all,
                Err(error) => {
                    tracing::warn!(%error, "the API cannot be watched; trying again");
                    continue;
                }
            },
            () = tokio::time::sleep(AGAIN), if again => {}
            () = &mut shutdown => break,
        }
        // Before both were listed, what is missing may only not have been seen yet.
        if listed == [true; 2] {
            again = !emulator.bring_to(&devices, &gateways).await;
        }
    }
    emulator.stop().await;
}

struct Emulator {
    options: Options,
    devices: Api<Device>,
    secrets: Api<Secret>,
    identities: BTreeMap<String, SigningKey>,
    running: BTreeMap<String, (Provisioning, Process)>,
}

impl Emulator {
    fn new(options: Options) -> Self {
        Self {
            devices: Api::namespaced(options.client.clone(), &options.namespace),
            secrets: Api::namespaced(options.client.clone(), &options.namespace),
            identities: BTreeMap::new(),
            running: BTreeMap::new(),
            options,
        }
    }

    /// Brings every device to what is declared; says whether all of it worked.
    async fn bring_to(&mut self, devices: &Store<Device>, gateways: &Store<Gateway>) -> bool {
        let gateways: Vec<Gateway> = gateways.state().iter().map(|gateway| (**gateway).clone()).collect();
        let declared: BTreeMap<String, (Plan, std::sync::Arc<Device>)> = devices
            .state()
            .into_iter()
            .filter(|device| device.metadata.deletion_timestamp.is_none())
            .filter_map(|device| Some((device.name_any(), (plan(&device, &gateways, Backends::default())?, device))))
            .collect();
        let gone: Vec<String> = self.running.keys().filter(|name| !declared.contains_key(*name)).cloned().collect();
        for name in gone {
            self.end(&name).await;
        }
        let mut worked = true;
        for (name, (plan, device)) in declared {
            if let Err(error) = self.bring_one(&name, &plan, &device).await {
                tracing::warn!(device = name, %error, "a device cannot be emulated; trying again");
                worked = false;
            }
        }
        worked
    }

    async fn bring_one(&mut self, name: &str, plan: &Plan, device: &Device) -> Result<(), EmulatorError> {
        let key = match self.identities.get(name) {
            Some(key) => key.clone(),
            None => self.identities.entry(name.to_owned()).or_insert(identity(&self.secrets, name).await?).clone(),
        };
        self.write_status(name, plan, device, &key).await?;
        let process = match &plan.process {
            Wanted::Runs(process) => process,
            Wanted::Kept => return Ok(()),
            Wanted::Off => {
                self.end(name).await;
                return Ok(());
            }
        };
        let provisioning = Provisioning {
            seed: *key.seed(),
            root: *self.options.root.as_bytes(),
            fleet: self.options.fleet.clone(),
            gateways: vec![process.gateway.to_string()],
            pairing: None,
        };
        if self.running.get(name).is_some_and(|(running, _)| *running == provisioning) {
            return Ok(());
        }
        self.end(name).await;
        let folder = self.options.devices.join(name);
        write_private(&folder.join("provisioning.cbor"), &provisioning.encode()?)?;
        let started = Process::start(ProcessSpec {
            name: format!("device {name}"),
            program: self.options.program.clone(),
            arguments: vec!["device".into(), "--dir".into(), folder.into(), "--with-parent".into()],
            output: self.options.logs.join(format!("device-{name}.log")),
        });
        self.running.insert(name.to_owned(), (provisioning, started));
        Ok(())
    }

    /// Writes what an emulator says of a Device, where it is not said already.
    async fn write_status(
        &self,
        name: &str,
        plan: &Plan,
        device: &Device,
        key: &SigningKey,
    ) -> Result<(), EmulatorError> {
        let status = device.status.clone().unwrap_or_default();
        let public_key = wasmbed_api::PublicKey::from_bytes(*key.public().as_bytes());
        let (generation, now) = (device.metadata.generation, jiff::Timestamp::now());
        let mut conditions = status.conditions.clone();
        set_condition(&mut conditions, EMULATED, plan.emulated, plan.reason, &plan.message, generation, now);
        if status.public_key == Some(public_key) && conditions == status.conditions {
            return Ok(());
        }
        conditions.retain(|condition| condition.type_ == EMULATED);
        let patch = json!({
            "apiVersion": "wasmbed.github.io/v0", "kind": "Device", "metadata": { "name": name },
            "status": { "publicKey": public_key, "conditions": conditions },
        });
        self.devices.patch_status(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch)).await?;
        Ok(())
    }

    async fn end(&mut self, name: &str) {
        if let Some((_, process)) = self.running.remove(name) {
            process.stop().await;
        }
    }

    async fn stop(self) {
        futures::future::join_all(self.running.into_values().map(|(_, process)| process.stop())).await;
    }
}

/// Writes a file of mode 0600 in a folder of mode 0700, whole or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), EmulatorError> {
    let write = || {
        let folder = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        let new = path.with_extension("new");
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    write().map_err(|source| EmulatorError::Folder { path: path.to_owned(), source })
}
