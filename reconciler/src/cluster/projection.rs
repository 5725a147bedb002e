//! What is kept of each object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::DynamicObject;
use serde::de::DeserializeOwned;
use serde_json::Value;
use wasmbed_api::{
    ApplicationSpec, ApplicationStatus, Condition, DevicePhase, DeviceSpec, DeviceStatus, Digest, FleetSpec,
    FleetStatus, GatewaySpec, GatewayStatus, InstancePhase, McuType, ReleaseSpec, RolloutSpec, RolloutStatus, labels,
};

use super::{View, Watched, observed_fingerprint};
use crate::plan::{Fingerprint, Kind, ObjectId, Observed};

/// Names of objects.
pub(crate) type Names = BTreeSet<Arc<str>>;

/// Labels of an object.
pub(crate) type Labels = BTreeMap<String, String>;

/// A spec and its status, as they were last seen.
#[derive(Clone, Debug)]
pub(crate) struct Versioned<Spec, Status> {
    pub(crate) spec: Arc<Spec>,
    pub(crate) status: Status,
    pub(crate) generation: Option<i64>,
    /// The fleet label; `None` was applied by hand.
    pub(crate) fleet: Option<String>,
}

pub(crate) type FleetView = Versioned<FleetSpec, FleetStatus>;
pub(crate) type GatewayView = Versioned<GatewaySpec, GatewayStatus>;
/// Without `wasmBytes`: the repository has them.
pub(crate) type ApplicationView = Versioned<ApplicationSpec, ApplicationStatus>;
pub(crate) type RolloutView = Versioned<RolloutSpec, RolloutStatus>;

/// What counts of a Device: there may be very many.
#[derive(Clone, Debug)]
pub(crate) struct DeviceView {
    /// Shared by the devices that have the same.
    pub(crate) labels: Arc<Labels>,
    pub(crate) board: McuType,
    pub(crate) connected: bool,
    pub(crate) applications: Box<[DeviceRun]>,
    pub(crate) conditions: Box<[Condition]>,
    pub(crate) generation: Option<i64>,
    pub(crate) fleet: Option<String>,
}

/// An application on a device.
#[derive(Clone, Debug)]
pub(crate) struct DeviceRun {
    pub(crate) name: Box<str>,
    pub(crate) release: Digest,
    pub(crate) phase: InstancePhase,
    pub(crate) error: Option<Box<str>>,
}

/// What counts of a Release.
#[derive(Clone, Debug)]
pub(crate) struct ReleaseView {
    pub(crate) application: Box<str>,
    pub(crate) revision: Option<Box<str>>,
    pub(crate) modules: Vec<Digest>,
    /// Of the whole spec.
    pub(crate) spec: Fingerprint,
    pub(crate) created: Option<Time>,
    pub(crate) fleet: Option<String>,
}

impl View {
    /// Takes in an object as it is now.
    pub(crate) fn put(&mut self, what: Watched, object: DynamicObject) {
        let Some(name) = object.metadata.name.as_deref().map(Arc::<str>::from) else {
            return;
        };
        let fleet = object.metadata.labels.as_ref().and_then(|labels| labels.get(labels::FLEET)).cloned();
        if let Some(kind) = kind_of(what) {
            let spec = object.data.get("spec").unwrap_or(&Value::Null);
            let fingerprint = observed_fingerprint(&object.metadata, spec);
            let id = ObjectId { kind, name: Arc::clone(&name) };
            self.objects.insert(id, Observed { fingerprint, fleet: fleet.clone() });
        }
        match what {
            Watched::Fleets => {
                self.fleets.insert(name, versioned(object, fleet));
            }
            Watched::Gateways => {
                self.gateways.insert(name, versioned(object, fleet));
            }
            Watched::Applications => {
                let mut view: ApplicationView = versioned(object, fleet);
                if let Some(spec) = Arc::get_mut(&mut view.spec) {
                    spec.wasm_bytes = None;
                }
                self.applications.insert(name, view);
            }
            Watched::Rollouts => {
                self.rollouts.insert(name, versioned(object, fleet));
            }
            Watched::Devices => {
                let (labels, view) = device(object, fleet);
                let view = DeviceView { labels: self.shared(labels), ..view };
                self.put_device(name, view);
            }
            Watched::Releases => {
                let created = object.metadata.creation_timestamp.clone();
                if let (Ok(digest), Some(spec)) = (name.parse(), part::<ReleaseSpec>(&object, "spec")) {
                    let view = ReleaseView {
                        application: spec.application.as_str().into(),
                        revision: spec.revision.as_deref().map(Into::into),
                        modules: spec.artifacts.iter().map(|artifact| artifact.digest).collect(),
                        spec: Fingerprint::of_value(object.data.get("spec").unwrap_or(&Value::Null)),
                        created,
                        fleet,
                    };
                    self.releases.insert(digest, view);
                }
            }
            Watched::Modules => {
                if let Some(digest) = module_of(&name) {
                    self.modules.insert(digest, fleet);
                }
            }
        }
    }

    /// Takes out an object that is gone.
    pub(crate) fn remove(&mut self, what: Watched, name: &str) {
        if let Some(kind) = kind_of(what) {
            self.objects.remove(&ObjectId::new(kind, name));
        }
        match what {
            Watched::Fleets => drop(self.fleets.remove(name)),
            Watched::Gateways => drop(self.gateways.remove(name)),
            Watched::Devices => {
                if self.devices.remove(name).is_some() {
                    self.labels_generation += 1;
                    self.devices_generation += 1;
                }
            }
            Watched::Applications => drop(self.applications.remove(name)),
            Watched::Rollouts => drop(self.rollouts.remove(name)),
            Watched::Releases => drop(name.parse().ok().and_then(|digest: Digest| self.releases.remove(&digest))),
            Watched::Modules => drop(module_of(name).and_then(|digest| self.modules.remove(&digest))),
        }
    }

    /// Takes out what a complete list did not name.
    pub(crate) fn retain(&mut self, what: Watched, named: &Names) {
        for name in self.names(what) {
            if !named.contains(&name) {
                self.remove(what, &name);
            }
        }
    }

    /// Most devices have the same labels as many others.
    fn shared(&mut self, labels: Labels) -> Arc<Labels> {
        if let Some(known) = self.known_labels.get(&labels) {
            return Arc::clone(known);
        }
        if self.known_labels.len() > 2 * self.devices.len() + 64 {
            self.known_labels.clear();
        }
        let labels = Arc::new(labels);
        self.known_labels.insert(Arc::clone(&labels));
        labels
    }

    fn put_device(&mut self, name: Arc<str>, device: DeviceView) {
        let before = self.devices.get(&name);
        if before.is_none_or(|b| b.labels != device.labels || b.fleet != device.fleet) {
            self.labels_generation += 1;
        }
        self.devices_generation += 1;
        self.devices.insert(name, device);
    }

    fn names(&self, what: Watched) -> Vec<Arc<str>> {
        match what {
            Watched::Fleets => self.fleets.keys().cloned().collect(),
            Watched::Gateways => self.gateways.keys().cloned().collect(),
            Watched::Devices => self.devices.keys().cloned().collect(),
            Watched::Applications => self.applications.keys().cloned().collect(),
            Watched::Rollouts => self.rollouts.keys().cloned().collect(),
            Watched::Releases => self.releases.keys().map(|digest| digest.to_string().into()).collect(),
            Watched::Modules => self.modules.keys().map(|digest| labels::module_config_map(digest).into()).collect(),
        }
    }
}

fn kind_of(what: Watched) -> Option<Kind> {
    match what {
        Watched::Gateways => Some(Kind::Gateway),
        Watched::Devices => Some(Kind::Device),
        Watched::Applications => Some(Kind::Application),
        _ => None,
    }
}

fn module_of(config_map: &str) -> Option<Digest> {
    config_map.strip_prefix("module-")?.parse().ok()
}

fn device(object: DynamicObject, fleet: Option<String>) -> (Labels, DeviceView) {
    let status: DeviceStatus = part(&object, "status").unwrap_or_default();
    let view = DeviceView {
        labels: Arc::default(),
        board: part::<DeviceSpec>(&object, "spec").unwrap_or_default().board(),
        connected: status.phase == Some(DevicePhase::Connected),
        applications: status
            .applications
            .into_iter()
            .map(|run| DeviceRun {
                name: run.name.as_str().into(),
                release: run.release,
                phase: run.phase,
                error: run.error.map(Into::into),
            })
            .collect(),
        conditions: status.conditions.into(),
        generation: object.metadata.generation,
        fleet,
    };
    (object.metadata.labels.unwrap_or_default(), view)
}

fn versioned<Spec, Status>(object: DynamicObject, fleet: Option<String>) -> Versioned<Spec, Status>
where
    Spec: DeserializeOwned + Default,
    Status: DeserializeOwned + Default,
{
    Versioned {
        spec: Arc::new(part(&object, "spec").unwrap_or_default()),
        status: part(&object, "status").unwrap_or_default(),
        generation: object.metadata.generation,
        fleet,
    }
}

/// A part of an object. One that cannot be read (an API without our schemas would take it) counts as absent, so that one bad object
/// stops nobody.
fn part<T: DeserializeOwned>(object: &DynamicObject, name: &str) -> Option<T> {
    let value = object.data.get(name)?;
    match T::deserialize(value) {
        Ok(part) => Some(part),
        Err(error) => {
            tracing::warn!(object = object.metadata.name, part = name, %error, "an object in the cluster cannot be read");
            None
        }
    }
}

impl DeviceView {
    /// How `application` fares on this device.
    pub(crate) fn run(&self, application: &str) -> Option<&DeviceRun> {
        self.applications.iter().find(|run| &*run.name == application)
    }
}
