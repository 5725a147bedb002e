//! From switching on to running what ran before, without any network.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use wasmbed_protocol::message::Level;
use wasmbed_protocol::{Assignment, KeySet, Release};

use super::Agent;
use super::durable::Purpose;
use crate::library::Known;
use crate::store::{ApplicationRecord, Digest, Report};

impl Agent {
    /// The store can be read: takes up what it says, and has every module read and hashed before anything runs.
    pub(super) fn mounted(&mut self, report: &Report) {
        self.tell_damage(report);
        if let Some(epoch) = self.stored_epoch() {
            self.trust.epoch = epoch;
        }
        let releases: Vec<(Digest, Known)> = self
            .store
            .releases()
            .filter_map(|(digest, cose)| {
                let (name, release) = Release::read_unverified(cose).ok()?;
                let is_ours = name.0 == digest && release.fleet == self.trust.fleet;
                is_ours.then(|| (digest, Known::of(&release, cose.len())))
            })
            .collect();
        for (digest, release) in releases {
            self.library.stored(digest, release);
        }
        let records: Vec<(String, ApplicationRecord)> =
            self.store.applications().map(|(name, record)| (String::from(name), record)).collect();
        let mut modules = Vec::new();
        for (name, record) in records {
            // What there is to fall back to comes first, so that it is there when the other fails.
            for slot in [record.previous, record.current].into_iter().flatten() {
                if !modules.contains(&slot.module) {
                    modules.push(slot.module);
                }
            }
            self.supervisor.restore(&name, record);
        }
        for module in modules {
            if let Ok(ticket) = self.store.verify(module) {
                self.purposes.insert(ticket, Purpose::Boot);
            }
        }
        if !self.purposes.booting() {
            self.boot_done();
        }
    }

    /// The flash does not work at all: the device connects, and says so.
    pub(super) fn unusable(&mut self, problem: &str) {
        self.say(Level::Error, format!("the store cannot be used: {problem}; nothing can be installed"));
        self.booted = true;
        self.changed = true;
    }

    /// Every module that a record names was read and hashed.
    pub(super) fn boot_done(&mut self) {
        let records: Vec<ApplicationRecord> = self.store.applications().map(|(_, record)| record).collect();
        for slot in records.iter().flat_map(|record| [record.current, record.previous]).flatten() {
            if self.store.locate(&slot.module).is_some() {
                self.release_is_ready(slot.release);
            }
        }
        self.booted = true;
        self.changed = true;
        if let Some(assignment) = self.stored_assignment() {
            self.assigned = Some(assignment.entries.clone());
            self.supervisor.assign(&assignment.entries, self.room(&assignment.entries), self.now);
        }
    }

    /// The newest epoch believed, if the stored KeySet is of this device's root and fleet.
    fn stored_epoch(&self) -> Option<u64> {
        let (_, cose) = self.store.keyset()?;
        KeySet::verify(cose, &self.trust.root, &self.trust.fleet, 0).ok().map(|keyset| keyset.epoch)
    }

    /// The last accepted Assignment, if it is this device's. It was verified when it was stored.
    fn stored_assignment(&self) -> Option<Assignment> {
        let assignment = Assignment::read_unverified(self.store.assignment()?).ok()?;
        let mine = assignment.device == self.trust.key.thumbprint() && assignment.fleet == self.trust.fleet;
        mine.then_some(assignment)
    }

    fn tell_damage(&mut self, report: &Report) {
        if matches!(report.formatted, Some(crate::store::Formatted::Unreadable)) {
            self.say(Level::Warn, "the store held nothing readable and was formatted anew".into());
        }
        if report.lost > 0 {
            self.say(Level::Warn, format!("the store lost {} records", report.lost));
        }
    }
}
