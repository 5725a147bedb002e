//! The delivery of an Assignment: first the Releases it names that this session has not brought yet, then itself.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmbed_protocol::ReleaseDigest;
use wasmbed_protocol::message::{GatewayMessage, SignedAssignment, SignedRelease};

/// A Release that is not there yet is looked for again after this, and then twice as long each time.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// The latest Assignment wins; one that has not gone out when the next comes never does.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// Releases of the last Assignment that went out. A device keeps what its Assignment names, and nothing else surely.
    held: HashSet<ReleaseDigest>,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    cose: Vec<u8>,
    releases: Vec<ReleaseDigest>,
    found: HashMap<ReleaseDigest, Bytes>,
    missing: HashSet<ReleaseDigest>,
    retry: Duration,
    retry_at: Option<Instant>,
}

impl Delivery {
    /// Takes a new Assignment; gives the Releases to look for.
    pub(super) fn begin(&mut self, cose: Vec<u8>, releases: Vec<ReleaseDigest>) -> Vec<ReleaseDigest> {
        let mut seen = HashSet::new();
        let lacking: Vec<_> =
            releases.iter().filter(|release| !self.held.contains(release) && seen.insert(**release)).copied().collect();
        self.waiting = Some(Waiting {
            cose,
            releases,
            found: HashMap::new(),
            missing: HashSet::new(),
            retry: FIRST_RETRY,
            retry_at: None,
        });
        lacking
    }

    /// A Release was looked for; `None` if it cannot be had now.
    pub(super) fn found(&mut self, release: ReleaseDigest, cose: Option<Bytes>, now: Instant) {
        let Some(waiting) = &mut self.waiting else {
            return;
        };
        if !waiting.releases.contains(&release) {
            return;
        }
        match cose {
            Some(cose) => {
                waiting.missing.remove(&release);
                waiting.found.insert(release, cose);
            }
            None => {
                waiting.missing.insert(release);
                if waiting.retry_at.is_none() {
                    waiting.retry_at = Some(now + waiting.retry);
                    waiting.retry = (waiting.retry * 2).min(LAST_RETRY);
                }
            }
        }
    }

    /// When to look again for what was missing.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.waiting.as_ref()?.retry_at
    }

    /// What to look for again now.
    pub(super) fn retries(&mut self, now: Instant) -> Vec<ReleaseDigest> {
        match &mut self.waiting {
            Some(waiting) if waiting.retry_at.is_some_and(|at| at <= now) => {
                waiting.retry_at = None;
                waiting.missing.drain().collect()
            }
            _ => Vec::new(),
        }
    }

    /// The messages to send, once nothing is missing.
    pub(super) fn ready(&mut self) -> Vec<GatewayMessage> {
        let complete = |waiting: &Waiting| {
            waiting.releases.iter().all(|release| self.held.contains(release) || waiting.found.contains_key(release))
        };
        if !self.waiting.as_ref().is_some_and(complete) {
            return Vec::new();
        }
        let Some(mut waiting) = self.waiting.take() else {
            return Vec::new();
        };
        let mut messages: Vec<GatewayMessage> = Vec::new();
        for release in &waiting.releases {
            if let Some(cose) = waiting.found.remove(release) {
                messages.push(SignedRelease { cose: cose.to_vec() }.into());
            }
        }
        messages.push(SignedAssignment { cose: waiting.cose }.into());
        self.held = waiting.releases.into_iter().collect();
        messages
    }
}
