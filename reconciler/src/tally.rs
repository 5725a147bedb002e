//! Which devices an application is meant for, and how it fares on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmbed_api::{ApplicationSpec, Digest, InstancePhase, TargetDevices};

use crate::cluster::{DeviceRun, View};
use crate::plan::Fingerprint;
use crate::rollout::Counts;

/// How many devices and errors a status names.
pub(crate) const NAMED: usize = 100;

/// Targets by application, kept until the application or the labels of a device change.
#[derive(Default)]
pub(crate) struct Targets {
    known: BTreeMap<Arc<str>, Known>,
}

struct Known {
    spec: Fingerprint,
    labels: u64,
    devices: Arc<[Arc<str>]>,
}

impl Targets {
    /// The devices of `fleet` that an application is meant for, by name.
    pub(crate) fn of(
        &mut self,
        view: &View,
        fleet: &str,
        application: &Arc<str>,
        spec: &ApplicationSpec,
        fingerprint: Fingerprint,
    ) -> Arc<[Arc<str>]> {
        if let Some(known) = self.known.get(application)
            && known.spec == fingerprint
            && known.labels == view.labels_generation
        {
            return Arc::clone(&known.devices);
        }
        let devices = find(view, fleet, spec);
        let known = Known { spec: fingerprint, labels: view.labels_generation, devices: Arc::clone(&devices) };
        self.known.insert(Arc::clone(application), known);
        devices
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

/// What the targets of `application` report; `updated` counts those that run `release`.
pub(crate) fn count(view: &View, targets: &[Arc<str>], application: &str, release: Option<&Digest>) -> Counts {
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

/// The first devices on which an application runs.
pub(crate) fn running_on(view: &View, targets: &[Arc<str>], application: &str) -> Vec<Arc<str>> {
    let runs_on = |name: &&Arc<str>| {
        view.devices.get(*name).is_some_and(|device| device.connected && device.run(application).is_some_and(runs))
    };
    targets.iter().filter(runs_on).take(NAMED).cloned().collect()
}

/// What the first device said on which an application failed.
pub(crate) fn first_error(view: &View, targets: &[Arc<str>], application: &str) -> Option<String> {
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
