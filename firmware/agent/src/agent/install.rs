//! Brings assigned Releases and their modules into the store, one after the other, at the device's own pace.

use alloc::format;
use alloc::string::{String, ToString};

use wasmbed_protocol::limits::CHUNK;
use wasmbed_protocol::message::{Chunk, Fetch};
use wasmbed_protocol::{DeviceMessage, ModuleDigest};

use super::Agent;
use super::durable::Purpose;
use crate::library::Program;
use crate::map::Map;
use crate::store::{Digest, Key, Module, Outcome, StoreError, Ticket};

const FIRST_HOLD_MS: u64 = 2_000;
const LONGEST_HOLD_MS: u64 = 5 * 60_000;
/// A gateway that does not answer a `Fetch` in this time is asked again.
const ASK_AGAIN_MS: u64 = 20_000;

/// Bytes of the store's log that Releases leave free, or a quarter of it if that is less.
const MAX_RESERVE: u32 = 1_024;
/// Bytes that a Release takes in the log besides its own, at most.
const RECORD_OVERHEAD: u32 = 80;

#[derive(Debug, Default)]
pub(super) struct Installer {
    /// Whether the store is at work for it.
    busy: bool,
    /// What the gateway was asked for and did not give yet.
    asked: Option<Asked>,
    /// Modules and Releases that wait after a failure.
    held: Map<Digest, Held>,
}

#[derive(Debug)]
struct Asked {
    module: Digest,
    offset: u32,
    length: u32,
    until: u64,
}

#[derive(Debug)]
struct Held {
    /// Until when, while it lasts. The count outlasts it, so that failures in a row wait longer and longer.
    until: Option<u64>,
    failures: u32,
    problem: String,
}

impl Installer {
    pub(super) fn next_deadline(&self) -> Option<u64> {
        let asked = self.asked.as_ref().map(|asked| asked.until);
        self.held.values().filter_map(|held| held.until).chain(asked).min()
    }

    /// The connection is gone, and with it every answer.
    pub(super) fn disconnected(&mut self) {
        self.asked = None;
    }

    fn hold(&mut self, digest: Digest, problem: String, now: u64) {
        let held = self.held.get_or_insert_with(digest, || Held { until: None, failures: 0, problem: String::new() });
        held.until = Some(now + (FIRST_HOLD_MS << held.failures.min(16)).min(LONGEST_HOLD_MS));
        held.failures = held.failures.saturating_add(1);
        held.problem = problem;
    }
}

/// Whether an installation can go on to the next Release.
enum Progress {
    /// This one waits for something; the next may have more luck.
    Next,
    /// The store or the gateway is at work for this one.
    Taken,
}

impl Agent {
    /// Takes the next step of the first installation that has one.
    pub(super) fn install(&mut self) {
        let now = self.now;
        if self.installer.asked.as_ref().is_some_and(|asked| now >= asked.until) {
            self.installer.asked = None;
        }
        for held in self.installer.held.values_mut() {
            held.until = held.until.filter(|until| now < *until);
        }
        if self.installer.busy {
            return;
        }
        let wanted = self.supervisor.wanted();
        if wanted.is_empty() {
            self.installer.held.clear();
        }
        for (application, release) in wanted {
            if matches!(self.install_release(&application, release), Progress::Taken) {
                return;
            }
        }
    }

    fn install_release(&mut self, application: &str, digest: Digest) -> Progress {
        let Some(release) = self.library.release(&digest) else {
            // The gateway sends it before the Assignment; without a session it comes with the next.
            return Progress::Next;
        };
        if release.application != application {
            let problem = format!("the assigned Release is of the application {}", release.application);
            return self.impossible(application, problem);
        }
        let Some(Program { digest: module, size }) = release.program else {
            return self.impossible(application, "the Release holds no program for this device".to_string());
        };
        for digest in [&digest, &module] {
            if let Some(held) = self.installer.held.get(digest).filter(|held| held.until.is_some()) {
                let problem = held.problem.clone();
                return self.impossible(application, problem);
            }
        }
        if self.purposes.is_leaving(&digest) || self.purposes.is_leaving(&module) {
            return Progress::Next;
        }
        if self.store.release(&digest).is_none() {
            let Some(cose) = self.library.arrived_bytes(&digest) else { return Progress::Next };
            let accepted = match self.room_for_release(cose.len()) {
                Ok(()) => self.store.put(Key::Release(digest), cose.to_vec()),
                Err(full) => Err(full),
            };
            return self.accepted(accepted, application, digest, Purpose::Release(digest));
        }
        self.install_module(application, digest, module, size)
    }

    /// Releases never fill the log: what is decided about them (records, an Assignment, a KeySet) always has room.
    fn room_for_release(&self, length: usize) -> Result<(), StoreError> {
        let (used, capacity) = self.store.log_use();
        let free = capacity.saturating_sub(used).saturating_sub(MAX_RESERVE.min(capacity / 4));
        let needed = u32::try_from(length).unwrap_or(u32::MAX).saturating_add(RECORD_OVERHEAD);
        if needed <= free { Ok(()) } else { Err(StoreError::Full { needed, available: free }) }
    }

    fn install_module(&mut self, application: &str, release: Digest, module: Digest, size: u32) -> Progress {
        let accepted = match self.store.module(&module) {
            Some(Module::Stored { size: stored, verified: true }) if stored == size => {
                self.installer.held.remove(&module);
                self.supervisor.problem(application, None, self.now);
                self.release_is_ready(release);
                return Progress::Next;
            }
            Some(Module::Stored { size: stored, .. } | Module::Filling { size: stored, .. }) if stored != size => {
                // An earlier Release lied about its size; this one's is signed as well, and the bytes decide.
                self.store.discard(module)
            }
            Some(Module::Stored { .. }) => self.store.verify(module),
            Some(Module::Filling { next, .. }) if next == size => self.store.finish(module),
            Some(Module::Filling { next, .. }) => return self.fetch(module, next, size),
            None => self.store.reserve(module, size),
        };
        self.accepted(accepted, application, module, Purpose::Module(module))
    }

    fn fetch(&mut self, module: Digest, offset: u32, size: u32) -> Progress {
        if !self.session.as_ref().is_some_and(crate::session::Session::is_welcomed) {
            return Progress::Next;
        }
        if self.installer.asked.is_none() {
            let length = (size - offset).min(u32::try_from(CHUNK).unwrap_or(u32::MAX));
            let fetch = Fetch { digest: ModuleDigest(module), offset, length };
            if self.urgently(&DeviceMessage::from(fetch)) {
                self.installer.asked = Some(Asked { module, offset, length, until: self.now + ASK_AGAIN_MS });
            }
        }
        Progress::Taken
    }

    /// Takes in bytes. An error is a lie: the gateway gave something else than what was asked for.
    pub(super) fn chunk(&mut self, chunk: Chunk) -> Result<(), &'static str> {
        let Some(asked) = self.installer.asked.take() else {
            return Err("the gateway gave bytes that nobody asked for");
        };
        self.changed = true;
        let fits = chunk.bytes.len() <= usize::try_from(asked.length).unwrap_or(usize::MAX);
        if chunk.digest.0 != asked.module || chunk.offset != asked.offset || !fits {
            return Err("the gateway gave other bytes than it was asked for");
        }
        if chunk.bytes.is_empty() {
            let problem = "the gateway does not have the module now".to_string();
            self.installer.hold(asked.module, problem, self.now);
            return Ok(());
        }
        // The store refuses what does not continue the module, which it then is asked for again.
        if let Ok(ticket) = self.store.append(asked.module, asked.offset, &chunk.bytes) {
            self.installer.busy = true;
            self.purposes.insert(ticket, Purpose::Module(asked.module));
        }
        Ok(())
    }

    pub(super) fn release_kept(&mut self, digest: Digest, failed: Option<String>) {
        self.installer.busy = false;
        match failed {
            Some(problem) => self.installer.hold(digest, problem, self.now),
            None => {
                if let Some(release) = self.library.release(&digest).cloned() {
                    self.library.stored(digest, release);
                }
            }
        }
    }

    pub(super) fn module_done(&mut self, module: Digest, outcome: Outcome, failed: Option<String>) {
        self.installer.busy = false;
        if let Some(problem) = failed {
            self.installer.hold(module, problem, self.now);
        }
        if outcome == Outcome::Mismatch {
            let problem = "the bytes that came are not the module of the Release".to_string();
            self.installer.hold(module, problem, self.now);
        }
    }

    fn accepted(
        &mut self,
        accepted: Result<Ticket, StoreError>,
        application: &str,
        held: Digest,
        purpose: Purpose,
    ) -> Progress {
        match accepted {
            Ok(ticket) => {
                self.installer.busy = true;
                self.supervisor.problem(application, None, self.now);
                self.purposes.insert(ticket, purpose);
                Progress::Taken
            }
            // There will be room once what leaves is gone; the end of that calls again.
            Err(StoreError::Full { .. }) if self.purposes.may_make_room() => Progress::Next,
            Err(StoreError::Full { .. }) if self.supervisor.let_previous_go(self.now) => Progress::Next,
            Err(error) => {
                self.installer.hold(held, error.to_string(), self.now);
                self.impossible(application, error.to_string())
            }
        }
    }

    fn impossible(&mut self, application: &str, problem: String) -> Progress {
        self.supervisor.problem(application, Some(problem), self.now);
        Progress::Next
    }
}
