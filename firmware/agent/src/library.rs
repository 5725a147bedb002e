//! The Releases the device knows: those in its store, and those that just arrived.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use wasmbed_protocol::Release;
use wasmbed_protocol::signed::{Artifact, Format};

use crate::map::Map;
use crate::store::Digest;

/// The platform whose programs every device can run.
const PLATFORM: &str = "wasm32";

#[derive(Debug)]
pub(crate) struct Library {
    /// Most applications that the device keeps.
    most: usize,
    stored: Map<Digest, Release>,
    /// Verified, in the order they came; the store has none of them yet.
    arrived: VecDeque<Arrived>,
}

#[derive(Debug)]
struct Arrived {
    digest: Digest,
    release: Release,
    cose: Vec<u8>,
    /// Whether an Assignment names it, and not one that is still to come.
    assigned: bool,
}

impl Library {
    /// Of a device that keeps so many applications.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, stored: Map::default(), arrived: VecDeque::new() }
    }

    /// Takes in a Release that is in the store.
    pub(crate) fn stored(&mut self, digest: Digest, release: Release) {
        self.arrived.retain(|arrived| arrived.digest != digest);
        self.stored.insert(digest, release);
    }

    /// Takes in a verified Release. Of those that belong to the Assignment to come as many are kept as the device keeps
    /// applications: the first by name, as it will run those.
    pub(crate) fn arrived(&mut self, digest: Digest, release: Release, cose: Vec<u8>) {
        if self.release(&digest).is_some() {
            return;
        }
        self.arrived.push_back(Arrived { digest, release, cose, assigned: false });
        let to_come = || self.arrived.iter().enumerate().filter(|(_, arrived)| !arrived.assigned);
        if to_come().count() > self.most {
            // Of two of one application the later one is meant.
            let last = to_come().rev().max_by(|(_, a), (_, b)| a.release.application.cmp(&b.release.application));
            if let Some((index, _)) = last {
                self.arrived.remove(index);
            }
        }
    }

    /// An Assignment came: lets go what arrived before it and is not to be kept.
    pub(crate) fn keep_arrived(&mut self, keep: impl Fn(&Digest) -> bool) {
        self.arrived.retain(|arrived| keep(&arrived.digest));
        self.arrived.iter_mut().for_each(|arrived| arrived.assigned = true);
    }

    /// Lets go what came for an Assignment that never followed: each session brings its own.
    pub(crate) fn forget_unassigned(&mut self) {
        self.arrived.retain(|arrived| arrived.assigned);
    }

    /// A Release left the store.
    pub(crate) fn removed(&mut self, digest: &Digest) {
        self.stored.remove(digest);
    }

    pub(crate) fn release(&self, digest: &Digest) -> Option<&Release> {
        self.stored.get(digest).or_else(|| self.find(digest).map(|arrived| &arrived.release))
    }

    /// The signed bytes of a Release that is not in the store yet.
    pub(crate) fn arrived_bytes(&self, digest: &Digest) -> Option<&[u8]> {
        self.find(digest).map(|arrived| arrived.cose.as_slice())
    }

    fn find(&self, digest: &Digest) -> Option<&Arrived> {
        self.arrived.iter().find(|arrived| arrived.digest == *digest)
    }
}

/// The program of a Release that this device can run.
pub(crate) fn program(release: &Release) -> Option<&Artifact> {
    release.artifacts.iter().find(|artifact| artifact.platform == PLATFORM && artifact.format == Format::Wasm)
}
