//! Applications that are assigned and do not run, because the device has no memory for so many.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use wasmbed_protocol::ReleaseDigest;
use wasmbed_protocol::message::{Phase, Pulse, Report};
use wasmbed_protocol::signed::Entry;

/// Of each no more is kept than what it takes to say that it does not run.
#[derive(Debug, Default)]
pub(super) struct Beyond {
    /// How many are assigned, with these.
    assigned: usize,
    entries: Vec<(String, ReleaseDigest)>,
}

impl Beyond {
    /// How many are assigned without these.
    pub(super) fn kept(&self) -> usize {
        self.assigned - self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn holds(&self, application: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == application)
    }

    /// Takes in what a new Assignment has of them; gives the states that changed by it.
    pub(super) fn replace(&mut self, beyond: &[Entry], all: &[Entry]) -> Vec<Report> {
        let entries = beyond.iter().map(|entry| (entry.application.clone(), entry.release)).collect();
        let numbers = (self.assigned, self.kept());
        let before = core::mem::replace(&mut self.entries, entries);
        self.assigned = all.len();
        let same_numbers = numbers == (self.assigned, self.kept());
        let is_new = |entry: &&(String, ReleaseDigest)| !(same_numbers && before.contains(entry));
        let mut changed: Vec<Report> = self.entries.iter().filter(is_new).map(|entry| self.report(entry)).collect();
        let is_gone = |(name, _): &&(String, ReleaseDigest)| !all.iter().any(|entry| entry.application == *name);
        changed.extend(before.iter().filter(is_gone).map(|entry| Report {
            phase: Phase::Erased,
            error: None,
            ..self.report(entry)
        }));
        changed
    }

    pub(super) fn reports(&self) -> impl Iterator<Item = Report> {
        self.entries.iter().map(|entry| self.report(entry))
    }

    pub(super) fn pulses(&self) -> impl Iterator<Item = Pulse> {
        self.entries.iter().map(|(application, _)| Pulse {
            application: application.clone(),
            phase: Phase::Failed,
            cpu_ms: 0,
            restarts: 0,
        })
    }

    fn report(&self, (application, release): &(String, ReleaseDigest)) -> Report {
        let (assigned, kept) = (self.assigned, self.kept());
        Report {
            application: application.clone(),
            release: *release,
            phase: Phase::Failed,
            restarts: 0,
            error: Some(format!(
                "it does not run: {assigned} applications are assigned to this device, which has memory for {kept} of them: the \
                 first by name run; give it fewer, or less configuration"
            )),
            fallback: None,
            throttled: None,
        }
    }
}
