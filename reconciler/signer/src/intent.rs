//! What each device should run, from what the API holds. Pure.

use std::collections::BTreeMap;

use kube::ResourceExt;
use wasmbed_api::{Application, Device, Digest, Rollout, RolloutSpec};
use wasmbed_protocol::{PublicKey, Thumbprint};
use wasmbed_rollout::{Entry, Intent, Position, State, assignment};

/// The complete set for a device.
pub type Entries = Vec<Entry<Digest>>;

/// Of a Device, what decides which applications it runs, and whose session it may be.
#[derive(Clone, Debug, Eq, PartialEq)]
struct DeviceView {
    labels: BTreeMap<String, String>,
    key: Option<Thumbprint>,
}

/// What the API holds that decides what devices run. A kind that has not been listed yet is unknown, and while one is
/// unknown nothing is known of any device: an Assignment made of half the truth would stop and erase.
#[derive(Clone, Debug, Default)]
pub struct Intents {
    devices: Option<BTreeMap<String, DeviceView>>,
    applications: Option<BTreeMap<String, Application>>,
    rollouts: Option<BTreeMap<String, State<Digest>>>,
}

/// Why there is nothing to sign for a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unknown {
    /// The API has not answered yet.
    NotListed,
    /// There is no such Device.
    Device,
    /// The Device has another key than the session proved.
    Key,
}

impl Intents {
    /// Whether every kind has been listed.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.devices.is_some() && self.applications.is_some() && self.rollouts.is_some()
    }

    /// The complete set for the device `name` that proved the key of `thumbprint`.
    ///
    /// # Errors
    /// [`Unknown`] says why nothing may be signed.
    pub fn entries(&self, name: &str, thumbprint: &Thumbprint) -> Result<Entries, Unknown> {
        let (Some(devices), Some(applications), Some(rollouts)) = (&self.devices, &self.applications, &self.rollouts)
        else {
            return Err(Unknown::NotListed);
        };
        let device = devices.get(name).ok_or(Unknown::Device)?;
        // A gateway says which device a session is; only the key it proved decides whose Assignment it may get.
        if device.key.as_ref() != Some(thumbprint) {
            return Err(Unknown::Key);
        }
        let intents = applications.iter().filter_map(|(application, declared)| {
            Some(Intent {
                application,
                targeted: declared.spec.targets(name, &device.labels),
                suspended: declared.spec.is_suspended(),
                restart: declared.spec.restart_counter(),
                rollout: rollouts.get(application)?,
            })
        });
        Ok(assignment(name, intents))
    }

    /// Takes the Device in; says whether that may change what a device runs.
    pub(crate) fn apply_device(&mut self, device: &Device) -> bool {
        let Some(devices) = &mut self.devices else { return false };
        put(devices, device.name_any(), view(device))
    }

    /// Takes the Application in; says whether that may change what a device runs.
    pub(crate) fn apply_application(&mut self, mut application: Application) -> bool {
        let Some(applications) = &mut self.applications else { return false };
        strip(&mut application);
        put(applications, application.name_any(), application)
    }

    /// Takes the Rollout in; says whether that may change what a device runs.
    pub(crate) fn apply_rollout(&mut self, rollout: &Rollout) -> bool {
        let Some(rollouts) = &mut self.rollouts else { return false };
        put(rollouts, rollout.name_any(), state(&rollout.spec))
    }

    /// Forgets a Device.
    pub(crate) fn delete_device(&mut self, name: &str) -> bool {
        self.devices.as_mut().is_some_and(|devices| devices.remove(name).is_some())
    }

    /// Forgets an Application.
    pub(crate) fn delete_application(&mut self, name: &str) -> bool {
        self.applications.as_mut().is_some_and(|applications| applications.remove(name).is_some())
    }

    /// A Rollout was deleted. While its Application stands, somebody did that by hand: the last decision holds until the
    /// reconciler has written it again, instead of the application being erased everywhere in between.
    pub(crate) fn delete_rollout(&mut self, name: &str) -> bool {
        let stands = self.applications.as_ref().is_some_and(|applications| applications.contains_key(name));
        !stands && self.rollouts.as_mut().is_some_and(|rollouts| rollouts.remove(name).is_some())
    }

    /// Takes the complete list of Devices in.
    pub(crate) fn list_devices(&mut self, list: &[Device]) -> bool {
        replace(&mut self.devices, list.iter().map(|device| (device.name_any(), view(device))).collect())
    }

    /// Takes the complete list of Applications in.
    pub(crate) fn list_applications(&mut self, mut list: Vec<Application>) -> bool {
        list.iter_mut().for_each(strip);
        let list = list.into_iter().map(|application| (application.name_any(), application)).collect();
        replace(&mut self.applications, list)
    }

    /// Takes the complete list of Rollouts in.
    pub(crate) fn list_rollouts(&mut self, list: &[Rollout]) -> bool {
        replace(&mut self.rollouts, list.iter().map(|rollout| (rollout.name_any(), state(&rollout.spec))).collect())
    }
}

fn view(device: &Device) -> DeviceView {
    let key = device.key().map(|key| PublicKey(*key.as_bytes()).thumbprint());
    DeviceView { labels: device.labels().clone(), key }
}

/// Leaves of an Application what decides here: a status that changes is no reason to look again, and a module that
/// stands in the declaration is large.
fn strip(application: &mut Application) {
    application.status = None;
    application.spec.wasm_bytes = None;
    let name = application.metadata.name.take();
    application.metadata = kube::api::ObjectMeta { name, ..Default::default() };
}

fn state(spec: &RolloutSpec) -> State<Digest> {
    State {
        stable: spec.stable,
        candidate: spec.candidate,
        failed: spec.failed.iter().map(|failed| failed.release).collect(),
        position: Position::new(spec.position),
    }
}

fn put<V: PartialEq>(map: &mut BTreeMap<String, V>, name: String, value: V) -> bool {
    if map.get(&name) == Some(&value) {
        return false;
    }
    map.insert(name, value);
    true
}

fn replace<V: PartialEq>(known: &mut Option<BTreeMap<String, V>>, list: BTreeMap<String, V>) -> bool {
    let changed = known.as_ref() != Some(&list);
    *known = Some(list);
    changed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    fn device(name: &str) -> Device {
        serde_json::from_value(json!({
            "apiVersion": "wasmbed.github.io/v0", "kind": "Device",
            "metadata": { "name": name, "labels": { "site": "north" } },
            "spec": { "publicKey": KEY },
        }))
        .expect("a Device")
    }

    fn application(name: &str, spec: serde_json::Value) -> Application {
        serde_json::from_value(json!({
            "apiVersion": "wasmbed.github.io/v1alpha1", "kind": "Application",
            "metadata": { "name": name }, "spec": spec,
        }))
        .expect("an Application")
    }

    fn rollout(name: &str, stable: char) -> Rollout {
        let stable: Digest = stable.to_string().repeat(64).parse().expect("a digest");
        Rollout::new(name, RolloutSpec { stable: Some(stable), ..RolloutSpec::default() })
    }

    fn thumbprint() -> Thumbprint {
        view(&device("any")).key.expect("it has a key")
    }

    fn all(devices: &[Device], applications: Vec<Application>, rollouts: &[Rollout]) -> Intents {
        let mut intents = Intents::default();
        intents.list_devices(devices);
        intents.list_applications(applications);
        intents.list_rollouts(rollouts);
        intents
    }

    #[test]
    fn nothing_is_signed_before_every_kind_was_listed() {
        let mut intents = Intents::default();
        assert!(!intents.apply_device(&device("d")), "an object says nothing about the others");
        assert_eq!(intents.entries("d", &thumbprint()), Err(Unknown::NotListed));
        intents.list_devices(&[device("d")]);
        intents.list_applications(vec![]);
        assert_eq!(intents.entries("d", &thumbprint()), Err(Unknown::NotListed));
        intents.list_rollouts(&[]);
        assert_eq!(intents.entries("d", &thumbprint()), Ok(vec![]));
    }

    #[test]
    fn a_session_gets_only_the_set_of_the_device_whose_key_it_proved() {
        let intents = all(&[device("d")], vec![], &[]);
        assert_eq!(intents.entries("d", &Thumbprint([0; 32])), Err(Unknown::Key));
        assert_eq!(intents.entries("other", &thumbprint()), Err(Unknown::Device));
    }

    #[test]
    fn an_application_needs_a_target_and_a_rollout() {
        let by_name = json!({ "source": { "path": "a" }, "targetDevices": ["d"] });
        let by_label = json!({ "source": { "path": "b" }, "targetSelector": { "matchLabels": { "site": "north" } } });
        let elsewhere = json!({ "source": { "path": "c" }, "targetSelector": { "matchLabels": { "site": "south" } } });
        let mut intents = all(
            &[device("d")],
            vec![
                application("by-name", by_name.clone()),
                application("by-label", by_label),
                application("elsewhere", elsewhere),
                application("by-hand", by_name),
            ],
            &[rollout("by-name", 'a'), rollout("by-label", 'b'), rollout("elsewhere", 'c')],
        );
        let names = |intents: &Intents| -> Vec<String> {
            let entries = intents.entries("d", &thumbprint()).expect("known");
            entries.into_iter().map(|entry| entry.application).collect()
        };
        assert_eq!(names(&intents), ["by-label", "by-name"]);
        assert!(intents.delete_application("by-label"));
        assert_eq!(names(&intents), ["by-name"]);
    }

    #[test]
    fn a_rollout_deleted_by_hand_erases_nothing() {
        let spec = json!({ "source": { "path": "a" }, "targetDevices": ["d"] });
        let mut intents = all(&[device("d")], vec![application("a", spec)], &[rollout("a", 'a')]);
        assert!(!intents.delete_rollout("a"));
        assert_eq!(intents.entries("d", &thumbprint()).expect("known").len(), 1);
        assert!(intents.delete_application("a"));
        assert!(intents.delete_rollout("a"));
        assert_eq!(intents.entries("d", &thumbprint()), Ok(vec![]));
    }

    #[test]
    fn a_status_is_no_change() {
        let mut intents = all(&[device("d")], vec![application("a", json!({ "source": { "path": "a" } }))], &[]);
        let mut seen = device("d");
        seen.status = Some(Default::default());
        assert!(!intents.apply_device(&seen));
        let mut seen = application("a", json!({ "source": { "path": "a" } }));
        seen.status = Some(Default::default());
        seen.metadata.resource_version = Some("7".to_owned());
        assert!(!intents.apply_application(seen));
        assert!(intents.apply_rollout(&rollout("a", 'a')));
        assert!(!intents.apply_rollout(&rollout("a", 'a')));
    }
}
