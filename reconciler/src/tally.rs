//! Which devices an application is meant for, and how it fares on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmbed_api::{ApplicationSpec, Digest, InstancePhase, TargetDevices};

use crate::cluster::{DeviceRun, View};
use crate::plan::Fingerprint;
use crate::rollout::Counts;

/// How many devices and errors a status names.
const NAMED: usize = 100;

/// Targets by application, kept until the application or the labels of a device change; and what they report, kept until
/// anything of a device does.
#[derive(Default)]
pub(crate) struct Targets {
    known: BTreeMap<Arc<str>, Known>,
}

struct Known {
    spec: Fingerprint,
    labels: u64,
    devices: Arc<[Arc<str>]>,
    told: Option<Told>,
}

struct Told {
    devices: u64,
    release: Option<Digest>,
    tally: Arc<Tally>,
}

/// What the targets of an application report.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    /// The first devices on which it runs.
    pub(crate) running_on: Vec<Arc<str>>,
    /// What the first device said on which it failed.
    pub(crate) error: Option<String>,
}

/// One application, as its targets are found by.
#[derive(Clone, Copy)]
pub(crate) struct Targeting<'a> {
    pub(crate) fleet: &'a str,
    pub(crate) application: &'a Arc<str>,
    pub(crate) spec: &'a ApplicationSpec,
    /// Of the object, so that a changed one is looked at again.
    pub(crate) fingerprint: Fingerprint,
}

impl Targets {
    /// What the targets report; `updated` counts those that run `release`.
    pub(crate) fn tally(&mut self, view: &View, of: Targeting<'_>, release: Option<&Digest>) -> Arc<Tally> {
        let known = self.find(view, of);
        if let Some(told) = &known.told
            && told.devices == view.devices_generation
            && told.release.as_ref() == release
        {
            return Arc::clone(&told.tally);
        }
        let tally = Arc::new(Tally {
            counts: count(view, &known.devices, of.application, release),
            running_on: running_on(view, &known.devices, of.application),
            error: first_error(view, &known.devices, of.application),
        });
        let told = Told { devices: view.devices_generation, release: release.copied(), tally: Arc::clone(&tally) };
        known.told = Some(told);
        tally
    }

    /// The devices of the fleet that an application is meant for.
    fn find(&mut self, view: &View, of: Targeting<'_>) -> &mut Known {
        let is_current = |known: &Known| known.spec == of.fingerprint && known.labels == view.labels_generation;
        if !self.known.get(of.application).is_some_and(is_current) {
            let devices = find(view, of.fleet, of.spec);
            let known = Known { spec: of.fingerprint, labels: view.labels_generation, devices, told: None };
            self.known.insert(Arc::clone(of.application), known);
        }
        self.known.get_mut(of.application).expect("it was just put there")
    }
}

fn find(view: &View, fleet: &str, spec: &ApplicationSpec) -> Arc<[Arc<str>]> {
    let ours = |of: &Option<String>| of.as_deref() == Some(fleet);
    if let (Some(TargetDevices::Names(names)), None) = (&spec.target_devices, &spec.target_selector) {
        // Far fewer names than devices, mostly.
        let mut found: Vec<Arc<str>> = names
            .iter()
            .filter_map(|name| view.devices.get_key_value(name.as_str()))
            .filter(|(_, device)| ours(&device.fleet))
            .map(|(name, _)| Arc::clone(name))
            .collect();
        found.sort();
        found.dedup();
        return found.into();
    }
    view.devices
        .iter()
        .filter(|(name, device)| ours(&device.fleet) && spec.targets(name, &device.labels))
        .map(|(name, _)| Arc::clone(name))
        .collect()
}

fn count(view: &View, targets: &[Arc<str>], application: &str, release: Option<&Digest>) -> Counts {
    let mut counts = Counts { targets: number(targets.len()), ..Counts::default() };
    for device in targets.iter().filter_map(|name| view.devices.get(name)) {
        counts.connected += u32::from(device.connected);
        let Some(run) = device.run(application).filter(|_| device.connected) else {
            continue;
        };
        counts.running += u32::from(runs(run));
        counts.failed += u32::from(failed(run));
        counts.updated += u32::from(runs(run) && release == Some(&run.release));
    }
    counts
}

fn running_on(view: &View, targets: &[Arc<str>], application: &str) -> Vec<Arc<str>> {
    let runs_on = |name: &&Arc<str>| {
        view.devices.get(*name).is_some_and(|device| device.connected && device.run(application).is_some_and(runs))
    };
    targets.iter().filter(runs_on).take(NAMED).cloned().collect()
}

fn first_error(view: &View, targets: &[Arc<str>], application: &str) -> Option<String> {
    targets.iter().find_map(|name| {
        let run = view.devices.get(name)?.run(application).filter(|run| failed(run))?;
        Some(format!("on {name}: {}", run.error.as_deref().unwrap_or("it gave no reason")))
    })
}

fn runs(run: &DeviceRun) -> bool {
    matches!(run.phase, InstancePhase::Running | InstancePhase::Completed)
}

fn failed(run: &DeviceRun) -> bool {
    matches!(run.phase, InstancePhase::Failed | InstancePhase::FellBack)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;
    use serde_json::json;

    use super::*;
    use crate::cluster::Watched;

    fn device(view: &mut View, name: &str, room: &str, fleet: &str, phase: &str, run: Option<&str>) {
        let runs: Vec<_> = run
            .map(|phase| json!({ "name": "app", "release": Digest::of(b"r"), "phase": phase, "error": "trap" }))
            .into_iter()
            .collect();
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "wasmbed.github.io/v0", "kind": "Device",
            "metadata": { "name": name, "labels": { "room": room, "wasmbed.github.io/fleet": fleet } },
            "spec": {}, "status": { "phase": phase, "applications": runs },
        }))
        .expect("a Device");
        view.put(Watched::Devices, object);
    }

    fn spec(yaml: &str) -> ApplicationSpec {
        serde_yaml::from_str(yaml).expect("a spec")
    }

    fn targets(view: &View, known: &mut Targets, yaml: &str) -> Vec<String> {
        let (application, spec) = ("app".into(), spec(yaml));
        let fingerprint = Fingerprint::of(yaml.as_bytes());
        let of = Targeting { fleet: "f", application: &application, spec: &spec, fingerprint };
        known.find(view, of).devices.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn targets_are_the_fleet_s_own_devices_and_follow_their_labels() {
        let (mut view, mut known) = (View::default(), Targets::default());
        device(&mut view, "d1", "hall", "f", "Connected", None);
        device(&mut view, "d2", "attic", "f", "Connected", None);
        device(&mut view, "d3", "hall", "other", "Connected", None);
        let by_label = "{targetSelector: {matchLabels: {room: hall}}}";
        assert_eq!(targets(&view, &mut known, by_label), ["d1"]);
        assert_eq!(targets(&view, &mut known, "{targetDevices: [d2, d3, d9, d2]}"), ["d2"]);
        assert_eq!(targets(&view, &mut known, "{targetDevices: {allDevices: true}}"), ["d1", "d2"]);
        assert_eq!(targets(&view, &mut known, by_label), ["d1"]);
        device(&mut view, "d2", "hall", "f", "Connected", None);
        assert_eq!(targets(&view, &mut known, by_label), ["d1", "d2"]);
        view.remove(Watched::Devices, "d1");
        assert_eq!(targets(&view, &mut known, by_label), ["d2"]);
    }

    #[test]
    fn devices_that_are_away_count_as_targets_and_as_nothing_else() {
        let mut view = View::default();
        for (name, phase, run) in [
            ("d1", "Connected", Some("Running")),
            ("d2", "Connected", Some("Completed")),
            ("d3", "Connected", Some("Failed")),
            ("d4", "Connected", None),
            ("d5", "Disconnected", Some("Running")),
            ("d6", "Connected", Some("Starting")),
        ] {
            device(&mut view, name, "hall", "f", phase, run);
        }
        let (mut known, application, spec) = (Targets::default(), "app".into(), spec("{targetSelector: {}}"));
        let of = Targeting { fleet: "f", application: &application, spec: &spec, fingerprint: Fingerprint::of(b"1") };
        let release = Digest::of(b"r");
        let tally = known.tally(&view, of, Some(&release));
        assert_eq!(tally.counts, Counts { targets: 6, connected: 5, updated: 2, running: 2, failed: 1 });
        assert_eq!(tally.running_on.iter().map(|name| &**name).collect::<Vec<_>>(), ["d1", "d2"]);
        assert_eq!(tally.error.as_deref(), Some("on d3: trap"));
        assert_eq!(known.tally(&view, of, Some(&Digest::of(b"another"))).counts.updated, 0);
        device(&mut view, "d4", "hall", "f", "Connected", Some("Running"));
        assert_eq!(known.tally(&view, of, Some(&release)).counts.updated, 3);
    }
}
