//! The Releases the device knows: those in its store, and those that just arrived.
//!
//! Of each no more is kept at hand than what is asked for again and again; the rest is read from the signed bytes when it is needed.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use wasmbed_protocol::Release;
use wasmbed_protocol::limits::MAX_APPLICATIONS;
use wasmbed_protocol::signed::{Format, RestartPolicy};

use crate::map::Map;
use crate::memory;
use crate::store::Digest;

/// The platform whose programs every device can run.
const PLATFORM: &str = "wasm32";

#[derive(Debug)]
pub(crate) struct Library {
    /// Bytes that there are for what the device keeps of applications.
    memory: usize,
    stored: Map<Digest, Known>,
    /// Verified, in the order they came; the store has none of them yet.
    arrived: VecDeque<Arrived>,
    /// What there was no memory for, and what it would have taken. The gateway believes that the device has it.
    turned_away: Vec<(Digest, usize)>,
}

/// What is at hand of a Release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// The application it is of.
    pub(crate) application: String,
    /// The program that this device can run, if it holds one.
    pub(crate) program: Option<Program>,
    /// What follows a failure.
    pub(crate) restart: RestartPolicy,
    /// What an application with it takes of the device's memory, in bytes.
    pub(crate) memory: usize,
}

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) digest: Digest,
    pub(crate) size: u32,
}

#[derive(Debug)]
struct Arrived {
    digest: Digest,
    known: Known,
    cose: Vec<u8>,
    /// Whether an Assignment names it, and not one that is still to come.
    assigned: bool,
}

impl Known {
    /// Of a Release of so many signed bytes.
    pub(crate) fn of(release: &Release, signed: usize) -> Self {
        let runs = release.artifacts.iter().find(|it| it.platform == PLATFORM && it.format == Format::Wasm);
        Self {
            application: release.application.clone(),
            program: runs.map(|artifact| Program { digest: artifact.digest.0, size: artifact.size }),
            restart: release.restart.clone(),
            memory: memory::of(release, signed),
        }
    }
}

impl Library {
    /// Of a device with so many bytes for what it keeps of applications.
    pub(crate) fn new(memory: usize) -> Self {
        Self { memory, stored: Map::default(), arrived: VecDeque::new(), turned_away: Vec::new() }
    }

    /// Takes in a Release that is in the store.
    pub(crate) fn stored(&mut self, digest: Digest, known: Known) {
        self.arrived.retain(|arrived| arrived.digest != digest);
        self.stored.insert(digest, known);
    }

    /// Takes in a verified Release. Of those that belong to the Assignment to come no more are kept than there is memory for: the
    /// first by name, as those will run.
    pub(crate) fn arrived(&mut self, digest: Digest, release: &Release, cose: Vec<u8>) {
        if self.release(&digest).is_some() {
            return;
        }
        let known = Known::of(release, cose.len());
        self.turned_away.retain(|(other, _)| *other != digest);
        self.arrived.push_back(Arrived { digest, known, cose, assigned: false });
        loop {
            let to_come = || self.arrived.iter().enumerate().filter(|(_, arrived)| !arrived.assigned);
            let taken: usize = to_come().map(|(_, arrived)| arrived.known.memory).sum();
            if taken <= self.memory && to_come().count() <= MAX_APPLICATIONS {
                return;
            }
            // Of two of one application the later one is meant.
            let last = to_come().rev().max_by(|(_, a), (_, b)| a.known.application.cmp(&b.known.application));
            let Some(gone) = last.map(|(index, _)| index).and_then(|index| self.arrived.remove(index)) else { return };
            self.turn_away(&gone);
        }
    }

    fn turn_away(&mut self, gone: &Arrived) {
        // A gateway that sends more than any Assignment names is owed no memory.
        if self.turned_away.len() >= MAX_APPLICATIONS {
            self.turned_away.remove(0);
        }
        self.turned_away.push((gone.digest, gone.known.memory));
    }

    /// An Assignment came that names these, of which the device has memory for some: lets go what arrived and is not kept.
    pub(crate) fn keep_arrived(&mut self, keep: impl Fn(&Digest) -> bool, is_named: impl Fn(&Digest) -> bool) {
        while let Some(index) = self.arrived.iter().position(|arrived| !keep(&arrived.digest)) {
            let Some(gone) = self.arrived.remove(index) else { break };
            self.turn_away(&gone);
        }
        self.arrived.iter_mut().for_each(|arrived| arrived.assigned = true);
        self.turned_away.retain(|(digest, _)| is_named(digest));
    }

    /// Lets go what came for an Assignment that never followed: each session brings its own.
    pub(crate) fn forget_unassigned(&mut self) {
        self.arrived.retain(|arrived| arrived.assigned);
    }

    /// A Release left the store.
    pub(crate) fn removed(&mut self, digest: &Digest) {
        self.stored.remove(digest);
    }

    pub(crate) fn release(&self, digest: &Digest) -> Option<&Known> {
        self.stored.get(digest).or_else(|| self.find(digest).map(|arrived| &arrived.known))
    }

    /// Whether there was no memory for it.
    pub(crate) fn was_turned_away(&self, digest: &Digest) -> bool {
        self.turned_away.iter().any(|(other, _)| other == digest)
    }

    /// What an application with this Release takes of the device's memory, in bytes; the least that one takes while that is not known.
    pub(crate) fn memory_with(&self, digest: &Digest) -> usize {
        let known = self.release(digest).map(|known| known.memory);
        known
            .or_else(|| self.turned_away.iter().find(|(other, _)| other == digest).map(|(_, memory)| *memory))
            .unwrap_or(memory::LEAST)
    }

    /// The signed bytes of a Release that is not in the store yet.
    pub(crate) fn arrived_bytes(&self, digest: &Digest) -> Option<&[u8]> {
        self.find(digest).map(|arrived| arrived.cose.as_slice())
    }

    fn find(&self, digest: &Digest) -> Option<&Arrived> {
        self.arrived.iter().find(|arrived| arrived.digest == *digest)
    }
}
