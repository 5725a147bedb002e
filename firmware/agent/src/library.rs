//! The Releases the device knows: those in its store, and those that just arrived.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use wasmbed_protocol::Release;
use wasmbed_protocol::limits::MAX_APPLICATIONS;
use wasmbed_protocol::signed::{Artifact, Format};

use crate::map::Map;
use crate::store::Digest;

/// The platform whose programs every device can run.
const PLATFORM: &str = "wasm32";

#[derive(Debug, Default)]
pub(crate) struct Library {
    stored: Map<Digest, Release>,
    /// Verified, in the order they came; the store has none of them yet.
    arrived: VecDeque<(Digest, Release, Vec<u8>)>,
}

impl Library {
    /// Takes in a Release that is in the store.
    pub(crate) fn stored(&mut self, digest: Digest, release: Release) {
        self.arrived.retain(|(other, _, _)| *other != digest);
        self.stored.insert(digest, release);
    }

    /// Takes in a verified Release. So many are kept as two Assignments can name, the last and the one to come; more
    /// of them push the first out.
    pub(crate) fn arrived(&mut self, digest: Digest, release: Release, cose: Vec<u8>) {
        if self.release(&digest).is_some() {
            return;
        }
        if self.arrived.len() == 2 * MAX_APPLICATIONS {
            self.arrived.pop_front();
        }
        self.arrived.push_back((digest, release, cose));
    }

    /// Lets arrived Releases go that nothing names.
    pub(crate) fn keep_arrived(&mut self, keep: impl Fn(&Digest) -> bool) {
        self.arrived.retain(|(digest, _, _)| keep(digest));
    }

    /// A Release left the store.
    pub(crate) fn removed(&mut self, digest: &Digest) {
        self.stored.remove(digest);
    }

    pub(crate) fn release(&self, digest: &Digest) -> Option<&Release> {
        let arrived = || self.arrived.iter().find(|(other, _, _)| other == digest).map(|(_, release, _)| release);
        self.stored.get(digest).or_else(arrived)
    }

    /// The signed bytes of a Release that is not in the store yet.
    pub(crate) fn arrived_bytes(&self, digest: &Digest) -> Option<&[u8]> {
        self.arrived.iter().find(|(other, _, _)| other == digest).map(|(_, _, cose)| cose.as_slice())
    }
}

/// The program of a Release that this device can run.
pub(crate) fn program(release: &Release) -> Option<&Artifact> {
    release.artifacts.iter().find(|artifact| artifact.platform == PLATFORM && artifact.format == Format::Wasm)
}
