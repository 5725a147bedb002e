//! What was asked of the store, and what follows when it is done.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use wasmbed_protocol::message::Level;
use wasmbed_protocol::signed::Entry;

use super::Agent;
use crate::map::Map;
use crate::store::{Digest, Event, Key, Outcome, Ticket};

/// Why something was asked of the store.
#[derive(Debug)]
pub(super) enum Purpose {
    /// To remember the newest KeySet.
    KeySet,
    /// To remember what is assigned; then it is acted on, as far as there is memory.
    Assignment { entries: Vec<Entry>, room: usize },
    /// To remember an application's record.
    Record(String),
    /// To forget an application.
    Removal(String),
    /// To hash a module before anything runs.
    Boot,
    /// To keep a Release.
    Release(Digest),
    /// To bring a module in.
    Module(Digest),
    /// To let a Release go that nothing needs.
    ReleaseGone(Digest),
    /// To let a module go that nothing needs.
    ModuleGone(Digest),
}

#[derive(Debug, Default)]
pub(super) struct Purposes(Map<Ticket, Purpose>);

impl Purposes {
    pub(super) fn insert(&mut self, ticket: Ticket, purpose: Purpose) {
        self.0.insert(ticket, purpose);
    }

    /// Whether modules are still being hashed before anything runs.
    pub(super) fn booting(&self) -> bool {
        self.0.values().any(|purpose| matches!(purpose, Purpose::Boot))
    }

    /// Whether an Assignment is being made durable.
    pub(super) fn deciding(&self) -> bool {
        self.0.values().any(|purpose| matches!(purpose, Purpose::Assignment { .. }))
    }

    /// Whether this Release or module is on its way out.
    pub(super) fn is_leaving(&self, digest: &Digest) -> bool {
        self.0.values().any(|purpose| match purpose {
            Purpose::ReleaseGone(leaving) | Purpose::ModuleGone(leaving) => leaving == digest,
            _ => false,
        })
    }

    /// Whether anything is on its way out, or may be once a record is changed, so that there may be room soon.
    pub(super) fn may_make_room(&self) -> bool {
        let makes_room = |purpose: &Purpose| {
            matches!(
                purpose,
                Purpose::ReleaseGone(_) | Purpose::ModuleGone(_) | Purpose::Record(_) | Purpose::Removal(_)
            )
        };
        self.0.values().any(makes_room)
    }
}

impl Agent {
    /// Takes what the store has to tell; whether there was anything.
    pub(super) fn take_store_events(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.store.next_event() {
            any = true;
            self.changed = true;
            match event {
                Event::Mounted(report) => self.mounted(&report),
                Event::Unusable { error, address } => self.unusable(&format!("{error} at byte {address}")),
                Event::Done { ticket, outcome } => {
                    if let Some(purpose) = self.purposes.0.remove(&ticket) {
                        self.done(purpose, outcome);
                    }
                }
            }
        }
        any
    }

    fn done(&mut self, purpose: Purpose, outcome: Outcome) {
        let failed = match outcome {
            Outcome::Failed { error, address } => Some(format!("{error} at byte {address}")),
            _ => None,
        };
        if let Some(problem) = &failed {
            self.say(Level::Error, format!("the store failed: {problem}"));
        }
        match purpose {
            // What failed is kept in memory, and written again when it is told again.
            Purpose::KeySet => {}
            Purpose::Assignment { entries, room } => self.act_on(&entries, room, failed.is_none()),
            Purpose::Record(application) => self.supervisor.saved(&application, failed.is_none(), self.now),
            Purpose::Removal(application) => self.supervisor.removed(&application, failed.is_none(), self.now),
            Purpose::Boot => {
                if outcome == Outcome::Mismatch {
                    self.say(Level::Error, "a stored module is damaged and will be fetched again".to_string());
                }
                if !self.purposes.booting() {
                    self.boot_done();
                }
            }
            Purpose::Release(digest) => self.release_kept(digest, failed),
            Purpose::Module(digest) => self.module_done(digest, outcome, failed),
            Purpose::ReleaseGone(digest) => {
                if failed.is_none() {
                    self.library.removed(&digest);
                    self.supervisor.not_ready(&digest, self.now);
                }
            }
            Purpose::ModuleGone(_) => {}
        }
    }

    /// Makes a set of entries durable, and acts on them then: what is acted on survives a reset. `first` says that the session brought
    /// none before.
    pub(super) fn remember(&mut self, entries: Vec<Entry>, cose: Vec<u8>, first: bool) {
        // Now, and not when it is durable: what arrives until then belongs to the Assignment after this one.
        let room = self.room(&entries);
        let names = |entries: &[Entry], digest: &Digest| entries.iter().any(|entry| entry.release.0 == *digest);
        self.library.keep_arrived(|digest| names(&entries[..room], digest), |digest| names(&entries, digest));
        // With its first Assignment a session brings every Release that it has to give.
        if !first {
            self.ask_for_what_is_lacking(&entries[..room]);
        }
        if self.assigned.as_ref() == Some(&entries) {
            // Each session brings the same decision with a nonce of its own; flash is spared that. How many there is memory for may be
            // another number than when their Releases were not known.
            if !self.purposes.deciding() && self.supervisor.kept() != room {
                self.act_on(&entries, room, true);
            }
            return;
        }
        self.assigned = Some(entries.clone());
        match self.store.put(Key::Assignment, cose) {
            Ok(ticket) => self.purposes.insert(ticket, Purpose::Assignment { entries, room }),
            Err(error) => {
                self.say(Level::Error, format!("the Assignment cannot be kept over a reset: {error}"));
                self.act_on(&entries, room, false);
            }
        }
    }

    pub(super) fn act_on(&mut self, entries: &[Entry], room: usize, durable: bool) {
        if !durable {
            // The same decision is to be written when it comes again.
            self.assigned = None;
        }
        self.supervisor.assign(entries, room, self.now);
        self.changed = true;
    }
}
