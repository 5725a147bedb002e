//! The Devices declared for this gateway, by name and by key. Pure: watch events go in, what changed comes out.

use std::collections::{BTreeSet, HashMap};

use wasmbed_api::{Device, DevicePhase, DeviceStatus, Pairing};
use wasmbed_protocol::PublicKey;

use crate::session::Standing;

/// What a gateway keeps of a Device.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) key: Option<PublicKey>,
    pub(crate) pairing: Option<Pairing>,
    /// The status as it was last seen.
    pub(crate) status: DeviceStatus,
}

/// What changed: keys whose standing may be another now, and the Device whose status is to be looked at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) keys: BTreeSet<PublicKey>,
    pub(crate) devices: BTreeSet<String>,
}

/// The Devices declared for this gateway.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    devices: HashMap<String, Known>,
    /// The Devices that declare a key. More than one is a mistake in the declarations: the first by name has it.
    owners: HashMap<PublicKey, BTreeSet<String>>,
}

impl Directory {
    /// A Device is there, or is another than before.
    pub(crate) fn apply(&mut self, mut device: Device) -> Change {
        let Some(name) = device.metadata.name.clone() else {
            return Change::default();
        };
        let known = self.devices.get(&name);
        let before = known.and_then(|known| known.key);
        // A status is only a view: one that somebody deletes takes no key away, its emulator writes it again.
        if let Some(key) = known.and_then(|known| known.status.public_key)
            && device.spec.is_emulated()
        {
            device.status.get_or_insert_default().public_key.get_or_insert(key);
        }
        let key = device.key().map(|key| PublicKey(*key.as_bytes()));
        let mut change = Change { keys: BTreeSet::new(), devices: [name.clone()].into() };
        if before != key {
            change.keys.extend(before.into_iter().chain(key));
            self.disown(&name, before);
            if let Some(key) = key {
                self.owners.entry(key).or_default().insert(name.clone());
            }
        }
        let known = Known { key, pairing: device.spec.pairing, status: device.status.unwrap_or_default() };
        self.devices.insert(name, known);
        change
    }

    /// A Device is gone, or is no longer this gateway's.
    pub(crate) fn delete(&mut self, name: &str) -> Change {
        let key = self.devices.remove(name).and_then(|known| known.key);
        self.disown(name, key);
        Change { keys: key.into_iter().collect(), devices: [name.to_owned()].into() }
    }

    /// These Devices are all there are.
    pub(crate) fn replace(&mut self, devices: Vec<Device>) -> Change {
        let names: BTreeSet<_> = devices.iter().filter_map(|device| device.metadata.name.clone()).collect();
        let gone: Vec<_> = self.devices.keys().filter(|name| !names.contains(*name)).cloned().collect();
        let mut change = Change::default();
        let changes: Vec<_> = gone.iter().map(|name| self.delete(name)).collect();
        for one in changes.into_iter().chain(devices.into_iter().map(|device| self.apply(device))) {
            change.keys.extend(one.keys);
            change.devices.extend(one.devices);
        }
        change
    }

    /// Whose key this is.
    pub(crate) fn standing(&self, key: &PublicKey) -> Standing {
        match self.owners.get(key).and_then(BTreeSet::first) {
            Some(device) => Standing::Known(device.clone()),
            None => Standing::Unknown,
        }
    }

    /// The Device of this name.
    pub(crate) fn device(&self, name: &str) -> Option<&Known> {
        self.devices.get(name)
    }

    /// Names of all Devices.
    pub(crate) fn names(&self) -> Vec<String> {
        self.devices.keys().cloned().collect()
    }

    /// Devices whose status says that their key is being taken up.
    pub(crate) fn enrolling(&self) -> impl Iterator<Item = &str> {
        let enrolling = |known: &Known| known.status.phase == Some(DevicePhase::Enrolling);
        self.devices.iter().filter(move |(_, known)| enrolling(known)).map(|(name, _)| name.as_str())
    }

    /// How many Devices have a key.
    pub(crate) fn enrolled(&self) -> usize {
        self.devices.values().filter(|known| known.key.is_some()).count()
    }

    fn disown(&mut self, name: &str, key: Option<PublicKey>) {
        let Some(key) = key else {
            return;
        };
        if let Some(owners) = self.owners.get_mut(&key) {
            owners.remove(name);
            if owners.is_empty() {
                self.owners.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmbed_api::{DeviceSpec, Emulation};

    use super::*;

    fn device(name: &str, key: Option<u8>) -> Device {
        let key = key.map(|byte| wasmbed_api::PublicKey::from_bytes([byte; 32]));
        Device::new(name, DeviceSpec { public_key: key, ..DeviceSpec::default() })
    }

    fn key(byte: u8) -> PublicKey {
        PublicKey([byte; 32])
    }

    #[test]
    fn a_declared_key_is_known_until_it_changes_or_goes() {
        let mut directory = Directory::default();
        assert_eq!(directory.apply(device("a", Some(1))).keys, [key(1)].into());
        assert_eq!(directory.standing(&key(1)), Standing::Known("a".into()));
        assert_eq!(directory.apply(device("a", Some(1))).keys, [].into(), "the same again changes no standing");
        assert_eq!(directory.apply(device("a", Some(2))).keys, [key(1), key(2)].into());
        assert_eq!(directory.standing(&key(1)), Standing::Unknown);
        assert_eq!(directory.delete("a").keys, [key(2)].into());
        assert_eq!(directory.standing(&key(2)), Standing::Unknown);
    }

    #[test]
    fn a_key_declared_twice_belongs_to_the_first_by_name() {
        let mut directory = Directory::default();
        directory.apply(device("b", Some(1)));
        directory.apply(device("a", Some(1)));
        assert_eq!(directory.standing(&key(1)), Standing::Known("a".into()));
        directory.delete("a");
        assert_eq!(directory.standing(&key(1)), Standing::Known("b".into()));
    }

    #[test]
    fn an_emulators_key_counts_only_while_emulation_is_declared() {
        let mut emulated = device("a", None);
        emulated.spec.emulation = Some(Emulation::default());
        emulated.status = Some(DeviceStatus {
            public_key: Some(wasmbed_api::PublicKey::from_bytes([1; 32])),
            ..DeviceStatus::default()
        });
        let mut directory = Directory::default();
        directory.apply(emulated.clone());
        assert_eq!(directory.standing(&key(1)), Standing::Known("a".into()));
        emulated.spec.emulation = None;
        directory.apply(emulated);
        assert_eq!(directory.standing(&key(1)), Standing::Unknown);
    }

    #[test]
    fn a_deleted_status_takes_no_emulators_key_away() {
        let mut emulated = device("a", None);
        emulated.spec.emulation = Some(Emulation::default());
        let made = |byte| DeviceStatus {
            public_key: Some(wasmbed_api::PublicKey::from_bytes([byte; 32])),
            ..DeviceStatus::default()
        };
        let mut directory = Directory::default();
        directory.apply(Device { status: Some(made(1)), ..emulated.clone() });
        assert_eq!(directory.apply(emulated.clone()).keys, [].into());
        assert_eq!(directory.standing(&key(1)), Standing::Known("a".into()));
        let another = Device { status: Some(made(2)), ..emulated.clone() };
        assert_eq!(directory.apply(another).keys, [key(1), key(2)].into(), "another key takes its place");
        emulated.spec.emulation = None;
        assert_eq!(directory.apply(emulated).keys, [key(2)].into());
    }

    #[test]
    fn a_declared_key_that_is_taken_away_is_not_kept_for_an_emulator() {
        let mut directory = Directory::default();
        directory.apply(device("a", Some(1)));
        let mut emulated = device("a", None);
        emulated.spec.emulation = Some(Emulation::default());
        assert_eq!(directory.apply(emulated).keys, [key(1)].into());
    }

    #[test]
    fn a_new_list_takes_away_what_it_does_not_name() {
        let mut directory = Directory::default();
        directory.apply(device("a", Some(1)));
        directory.apply(device("b", Some(2)));
        let change = directory.replace(vec![device("b", Some(2)), device("c", Some(3))]);
        assert_eq!(change.keys, [key(1), key(3)].into());
        assert_eq!(directory.enrolled(), 2);
    }
}
