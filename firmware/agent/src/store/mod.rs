//! What a device keeps over a reset: a small log of records, and modules beside it, on NOR flash.
//!
//! The store does no I/O. It gives flash [`Action`]s, one at a time, and goes on when they are answered.
//!
//! # Specification
//!
//! The store is a partial function from [`Key`]s to byte strings, and a set of modules known by their sha256.
//!
//! - **Atomic.** Every accepted write that concerns a key ([`put`](Store::put), [`remove`](Store::remove)) or a
//!   module's existence and completeness ([`reserve`](Store::reserve), [`finish`](Store::finish),
//!   [`discard`](Store::discard)) is atomic: when power is lost at any point of it, then after the next mount the key
//!   or module is exactly as before it or exactly as after it, and all others are unchanged. Writes are carried out one
//!   after the other, in the order they were accepted, so what survives is always a prefix of what was accepted.
//! - **Durable.** When [`Event::Done`] with a success comes out, the write survives any later loss of power. Reads give
//!   durable values only.
//! - **Resumable.** Of a module that is being filled, what [`append`](Store::append) acknowledged survives, except that
//!   after a reset the last word is asked for again, and after a loss of power *in the middle of a program* the erase
//!   unit it went to. [`Module::Filling`] says where to go on; bytes before that place are never asked for twice.
//! - **Checked.** A record is believed only if its CRC-32s hold for its place and generation. A module is located
//!   ([`locate`](Store::locate)) only if all of its bytes were read and hashed since the last boot, by
//!   [`finish`](Store::finish) or [`verify`](Store::verify). What does not hold is reported ([`Report`],
//!   [`Outcome::Mismatch`]) and left behind; records before and behind a damaged one are kept. A damaged record is as
//!   if it had never been written: its key has the value before it, or none, and [`Report::lost`] counts it. The checks
//!   are against accidents, not attackers: what is signed is to be verified again by its reader.
//! - **Bounded.** What does not fit is refused with [`StoreError::Full`], with the numbers, before anything is written
//!   or lost. Removing never needs room. Live records may take seven eighths of a half of the log.
//! - **In place.** A module lies in one piece, from the first byte of an erase unit on, so that it can be run where it
//!   is.
//!
//! ## Preconditions
//! - Words are programmed in ascending order. When power is lost, the words before some place are as programmed, the
//!   one at that place has a subset of its bits programmed, the words behind it are untouched.
//! - When power is lost while a unit is erased, any subset of its bits has become 1. (So what looks erased after a
//!   reset may not be: it is erased again before it is used.)
//! - Reading the same bytes twice gives the same bytes, or fails twice.
//! - Nobody else writes to the region. (Anything at all may stand there at the first mount: it is formatted, and the
//!   report says so.)
//!
//! No word is ever programmed twice between two erases, so flash with error correction (ECC) serves.
//!
//! # How it is done
//!
//! The log has two halves, each of one or more erase units; one counts at a time. A record is appended with one
//! program, read back, and then acknowledged. When the half is full, or its end is in doubt, the live records are
//! copied to the other half with the change applied, and that half's header, with the next generation, is programmed
//! *last*: from there on the new half counts. Then the old one is erased. So a mount finds one whole header, or two and
//! takes the greater generation. A record that was cut short fails its CRC; behind it nothing is appended, the next
//! change compacts. `record.rs` has the bytes.
//!
//! The log also holds the directory of modules: first unit, size, filling or stored. To reserve is to erase the units
//! and then write that record; to discard is to remove it and then erase the units. How far a filling module has come
//! is read from the flash itself: behind the last word that is not erased. That word may have been cut short, so it is
//! compared with what arrives; if it differs, its unit is erased and the download goes back to the unit's start.
//! Progress therefore costs no wear at all.
//!
//! # Wear
//!
//! A module costs one erase of each of its units (a second one if the device was reset since they were freed). Units
//! are taken first-fit, which keeps room in one piece; a part rated for 10,000 erases so takes 10,000 new modules in
//! the worst case. A compaction of the log erases one half, once (the first one after a boot both); there is one per
//! `half / 8` bytes of records at worst, when the log is seven eighths full, and per half when it is nearly empty.
//! Writing a value that is there already costs nothing.
//!
//! # Memory
//!
//! The live records of the log are mirrored in memory (at most seven eighths of a half), and a record being written is
//! there twice more.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

mod action;
mod application;
mod geometry;
mod job;
mod log;
mod modules;
mod mount;
pub mod nor;
mod outcome;
mod record;
mod step;

pub use action::{Action, ActionId, FlashError};
pub use application::{ApplicationRecord, Failed, Slot};
pub use geometry::{Area, Geometry, GeometryError, Half, MINIMUM_HALF};
pub use outcome::{Event, Formatted, Location, MAX_DAMAGE, Module, Outcome, Report, StoreError, Ticket};

use crate::map::Map;
use job::{Append, Check, Discard, Job, Reserve};
use log::{Change, Log};
use modules::{Modules, State};
use mount::Mount;
use record::{Kind, RawKey};
use step::{Answer, Step, Trouble, Wish};

/// The sha256 of a module, or of a release's payload.
pub type Digest = [u8; 32];

/// Bytes that the name of an application may have.
pub const MAX_NAME: usize = 63;

/// What a value is kept under. (The KeySet is no such key: it is never removed, and only replaced by one with an epoch
/// at least as high.)
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The last accepted Assignment, as signed.
    Assignment,
    /// What was said by the panic before the last reset.
    Panic,
    /// A Release, as signed, by the sha256 of its payload.
    Release(Digest),
    /// What is remembered of an application, by its name of 1 to [`MAX_NAME`] bytes; see [`Store::put_application`].
    Application(String),
    /// Anything else a platform wants to keep.
    Other(u8),
}

/// The store of one device.
pub struct Store {
    geometry: Geometry,
    log: Log,
    modules: Modules,
    /// Until the region is mounted.
    mount: Option<Mount>,
    /// Whether mounting failed for good.
    unusable: bool,
    running: Option<(Ticket, Job)>,
    queue: VecDeque<(Ticket, Job)>,
    /// The action to be handed out next.
    ready: Option<Action>,
    /// The action that was made last and is not answered yet, and how many bytes its answer has.
    outstanding: Option<(ActionId, u32)>,
    events: VecDeque<Event>,
    last_action: u64,
    last_ticket: u64,
}

impl Store {
    /// A store that begins to mount the region: drive it until [`Event::Mounted`] comes out.
    ///
    /// # Errors
    /// If no store can work with this geometry.
    pub fn new(geometry: Geometry) -> Result<Store, GeometryError> {
        geometry.check()?;
        let mut store = Store {
            geometry,
            log: Log::blank(geometry),
            modules: Modules::new(geometry),
            mount: Some(Mount::new()),
            unusable: false,
            running: None,
            queue: VecDeque::new(),
            ready: None,
            outstanding: None,
            events: VecDeque::new(),
            last_action: 0,
            last_ticket: 0,
        };
        store.advance(None);
        Ok(store)
    }

    /// The geometry it was made with.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    // ---- the flash side ----

    /// The next flash action; none while one is unanswered, or when nothing is to be done.
    pub fn next_action(&mut self) -> Option<Action> {
        self.ready.take()
    }

    /// Answers an action: the bytes read, or no bytes for a program or erase that is durable. An answer to anything but
    /// the outstanding action is ignored.
    pub fn complete(&mut self, id: ActionId, result: Result<Vec<u8>, FlashError>) {
        let Some((_, length)) = self.outstanding.filter(|(outstanding, _)| *outstanding == id) else { return };
        self.outstanding = None;
        self.ready = None;
        let whole =
            result.and_then(|bytes| if bytes.len() as u32 == length { Ok(bytes) } else { Err(FlashError::Unreadable) });
        self.advance(Some(whole));
    }

    /// What happened, in order.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether nothing is to be done and nothing to be told.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.outstanding.is_none() && self.events.is_empty()
    }

    /// Whether [`Event::Mounted`] came out, or is about to.
    #[must_use]
    pub fn is_mounted(&self) -> bool {
        self.mount.is_none() && !self.unusable
    }

    // ---- reads ----

    /// The durable value of a key.
    #[must_use]
    pub fn value(&self, key: &Key) -> Option<&[u8]> {
        self.raw(&RawKey::from(key))
    }

    /// The KeySet with the highest epoch, and that epoch.
    #[must_use]
    pub fn keyset(&self) -> Option<(u64, &[u8])> {
        split_keyset(self.raw(&RawKey::keyset())?)
    }

    /// The last accepted Assignment.
    #[must_use]
    pub fn assignment(&self) -> Option<&[u8]> {
        self.value(&Key::Assignment)
    }

    /// What the last panic said.
    #[must_use]
    pub fn panic_note(&self) -> Option<&[u8]> {
        self.value(&Key::Panic)
    }

    /// A Release by the sha256 of its payload.
    #[must_use]
    pub fn release(&self, digest: &Digest) -> Option<&[u8]> {
        self.value(&Key::Release(*digest))
    }

    /// All Releases.
    pub fn releases(&self) -> impl Iterator<Item = (Digest, &[u8])> {
        self.of_kind(Kind::Release).filter_map(|(name, value)| Some((name.try_into().ok()?, value)))
    }

    /// What is remembered of an application; none also if an incompatible firmware wrote it.
    #[must_use]
    pub fn application(&self, name: &str) -> Option<ApplicationRecord> {
        ApplicationRecord::decode(self.value(&Key::Application(name.into()))?)
    }

    /// All applications of which something is remembered.
    pub fn applications(&self) -> impl Iterator<Item = (&str, ApplicationRecord)> {
        self.of_kind(Kind::Application)
            .filter_map(|(name, value)| Some((core::str::from_utf8(name).ok()?, ApplicationRecord::decode(value)?)))
    }

    /// How far a module has come.
    #[must_use]
    pub fn module(&self, digest: &Digest) -> Option<Module> {
        self.modules.module(digest)
    }

    /// All modules.
    pub fn modules(&self) -> impl Iterator<Item = (Digest, Module)> {
        self.modules.modules()
    }

    /// Where a module lies that was hashed since the last boot.
    #[must_use]
    pub fn locate(&self, digest: &Digest) -> Option<Location> {
        self.modules.locate(digest)
    }

    /// Bytes of the log that live records take, and how many they may take.
    #[must_use]
    pub fn log_use(&self) -> (u32, u32) {
        (
            self.log.values.iter().map(|(key, value)| record::record_size(&self.geometry, key, value.len())).sum(),
            self.log.capacity(),
        )
    }

    // ---- writes: refused at once, or accepted and answered by one `Event::Done` with the ticket ----

    /// Gives a key a value.
    ///
    /// # Errors
    /// Nothing is changed if the store is not mounted, the key's name or the value is too long, or there is no room.
    pub fn put(&mut self, key: Key, value: Vec<u8>) -> Result<Ticket, StoreError> {
        if let Key::Application(name) = &key
            && !(1..=MAX_NAME).contains(&name.len())
        {
            return Err(StoreError::Name { length: name.len() });
        }
        self.put_raw(RawKey::from(&key), value)
    }

    /// Keeps a KeySet, unless one with a higher epoch is kept.
    ///
    /// # Errors
    /// [`StoreError::EpochBelow`], and those of [`put`](Store::put).
    pub fn put_keyset(&mut self, epoch: u64, bytes: &[u8]) -> Result<Ticket, StoreError> {
        let key = RawKey::keyset();
        let accepted =
            self.accepted_changes().filter(|change| change.key == key).filter_map(|change| change.value.as_deref());
        let highest = self
            .log
            .values
            .get(&key)
            .map(Vec::as_slice)
            .into_iter()
            .chain(accepted)
            .filter_map(split_keyset)
            .map(|(epoch, _)| epoch)
            .max();
        if let Some(stored) = highest.filter(|highest| *highest > epoch) {
            return Err(StoreError::EpochBelow { stored });
        }
        self.put_raw(key, [&epoch.to_le_bytes(), bytes].concat())
    }

    /// Remembers an application.
    ///
    /// # Errors
    /// Those of [`put`](Store::put).
    pub fn put_application(&mut self, name: &str, record: &ApplicationRecord) -> Result<Ticket, StoreError> {
        self.put(Key::Application(name.into()), record.encode())
    }

    /// Takes a key's value away. Succeeds also if it has none.
    ///
    /// # Errors
    /// If the store is not mounted.
    pub fn remove(&mut self, key: &Key) -> Result<Ticket, StoreError> {
        self.mounted()?;
        Ok(self.accept(Job::Change(Change::new(RawKey::from(key), None))))
    }

    /// Makes room for a module of `size` bytes and enters it in the log as being filled. Room of a module that was
    /// discarded counts as free once that is done.
    ///
    /// # Errors
    /// [`StoreError::Full`] if no run of free units is long enough or the log has no room for its record,
    /// [`StoreError::Exists`], [`StoreError::Empty`]; nothing is changed.
    pub fn reserve(&mut self, digest: Digest, size: u32) -> Result<Ticket, StoreError> {
        self.mounted()?;
        self.check_room(&modules::key(&digest), modules::RECORD)?;
        self.modules.reserve(digest, size)?;
        let entry = self.modules.entry(&digest).expect("it was just kept");
        let reserve = Reserve::new(digest, entry);
        Ok(self.accept(Job::Reserve(reserve)))
    }

    /// Appends bytes to a module that is being filled. They may have any length; what does not make a word waits in
    /// memory for the next ones. Done with [`Outcome::Appended`], which says where to go on: possibly before `offset`,
    /// if what stood there had been cut short.
    ///
    /// # Errors
    /// [`StoreError::Unknown`]; [`StoreError::Offset`] if `offset` is not where it goes on; [`StoreError::TooLong`] if
    /// they exceed the module's size.
    pub fn append(&mut self, digest: Digest, offset: u32, bytes: &[u8]) -> Result<Ticket, StoreError> {
        self.mounted()?;
        let Some((size, State::Filling(filling))) =
            self.modules.entry_mut(&digest).map(|entry| (entry.size, &mut entry.state))
        else {
            return Err(StoreError::Unknown);
        };
        if offset != filling.accepted {
            return Err(StoreError::Offset { expected: filling.accepted });
        }
        let left = size - offset;
        if bytes.len() > left as usize {
            return Err(StoreError::TooLong { length: bytes.len(), most: left as usize });
        }
        filling.accepted += bytes.len() as u32;
        Ok(self.accept(Job::Append(Append::new(digest, offset, bytes.to_vec()))))
    }

    /// Reads a filled module back. Done with [`Outcome::Stored`]; or [`Outcome::Mismatch`] if its sha256 is not
    /// `digest`, and then it is gone.
    ///
    /// # Errors
    /// [`StoreError::Unknown`].
    pub fn finish(&mut self, digest: Digest) -> Result<Ticket, StoreError> {
        self.check(digest)
    }

    /// Reads a stored module, which makes it locatable. Done with [`Outcome::Verified`]; or [`Outcome::Mismatch`] if it
    /// is damaged, and then it is gone.
    ///
    /// # Errors
    /// [`StoreError::Unknown`].
    pub fn verify(&mut self, digest: Digest) -> Result<Ticket, StoreError> {
        self.check(digest)
    }

    /// Takes a module away, filled or not: gone from the log, then erased. Nothing may run it any more.
    ///
    /// # Errors
    /// [`StoreError::Unknown`].
    pub fn discard(&mut self, digest: Digest) -> Result<Ticket, StoreError> {
        self.mounted()?;
        self.modules.entry(&digest).ok_or(StoreError::Unknown)?;
        Ok(self.accept(Job::Discard(Discard::new(digest))))
    }

    fn check(&mut self, digest: Digest) -> Result<Ticket, StoreError> {
        self.mounted()?;
        self.modules.entry(&digest).ok_or(StoreError::Unknown)?;
        Ok(self.accept(Job::Check(Check::new(digest))))
    }

    fn put_raw(&mut self, key: RawKey, value: Vec<u8>) -> Result<Ticket, StoreError> {
        self.mounted()?;
        let most = usize::from(u16::MAX);
        if value.len() > most {
            return Err(StoreError::TooLong { length: value.len(), most });
        }
        self.check_room(&key, value.len())?;
        Ok(self.accept(Job::Change(Change::new(key, Some(value)))))
    }

    fn mounted(&self) -> Result<(), StoreError> {
        if self.is_mounted() { Ok(()) } else { Err(StoreError::NotMounted) }
    }

    /// Whether a value fits once everything accepted before is carried out.
    fn check_room(&self, key: &RawKey, value_length: usize) -> Result<(), StoreError> {
        let mut live = Map::default();
        for (key, value) in self.log.values.iter() {
            live.insert(key, record::record_size(&self.geometry, key, value.len()));
        }
        for change in self.accepted_changes() {
            match change.value {
                Some(_) => live.insert(&change.key, change.size(&self.geometry)),
                None => live.remove(&&change.key),
            };
        }
        live.remove(&key);
        let needed = record::record_size(&self.geometry, key, value_length);
        let available = self.log.capacity().saturating_sub(live.values().sum());
        if needed <= available { Ok(()) } else { Err(StoreError::Full { needed, available }) }
    }

    /// The changes of the log that are accepted but not durable yet, in order.
    fn accepted_changes(&self) -> impl Iterator<Item = &Change> {
        self.running.iter().chain(&self.queue).filter_map(|(_, job)| job.change())
    }

    fn raw(&self, key: &RawKey) -> Option<&[u8]> {
        if self.is_mounted() { self.log.values.get(key).map(Vec::as_slice) } else { None }
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&[u8], &[u8])> {
        let first = RawKey { kind, name: Vec::new() };
        let values = self.is_mounted().then(|| self.log.values.from(&first)).into_iter().flatten();
        values.take_while(move |(key, _)| key.kind == kind).map(|(key, value)| (key.name.as_slice(), value.as_slice()))
    }

    fn accept(&mut self, job: Job) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.queue.push_back((ticket, job));
        if self.running.is_none() {
            self.advance(None);
        }
        ticket
    }

    /// Steps what is running until it wants a flash action, or nothing is left.
    fn advance(&mut self, mut answer: Answer) {
        loop {
            if let Some(mount) = &mut self.mount {
                match mount.step(&mut self.log, &mut self.modules, answer.take()) {
                    Step::Do(wish) => return self.ask(wish),
                    Step::Done(Ok(report)) => self.events.push_back(Event::Mounted(report)),
                    Step::Done(Err(Trouble { error, address })) => {
                        self.unusable = true;
                        self.events.push_back(Event::Unusable { error, address });
                    }
                }
                self.mount = None;
            }
            if self.running.is_none() {
                self.running = self.queue.pop_front();
            }
            let Some((ticket, job)) = &mut self.running else { return };
            match job.step(&mut self.log, &mut self.modules, answer.take()) {
                Step::Do(wish) => return self.ask(wish),
                Step::Done(outcome) => {
                    self.events.push_back(Event::Done { ticket: *ticket, outcome });
                    self.running = None;
                }
            }
        }
    }

    fn ask(&mut self, wish: Wish) {
        self.last_action += 1;
        let id = ActionId(self.last_action);
        let (action, length) = match wish {
            Wish::Read { address, length } => (Action::Read { id, address, length }, length),
            Wish::Program { address, bytes } => (Action::Program { id, address, bytes }, 0),
            Wish::Erase { address, length } => (Action::Erase { id, address, length }, 0),
        };
        self.outstanding = Some((id, length));
        self.ready = Some(action);
    }
}

fn split_keyset(value: &[u8]) -> Option<(u64, &[u8])> {
    let (epoch, bytes) = value.split_first_chunk()?;
    Some((u64::from_le_bytes(*epoch), bytes))
}

impl core::fmt::Debug for Store {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter
            .debug_struct("Store")
            .field("geometry", &self.geometry)
            .field("mounted", &self.is_mounted())
            .finish_non_exhaustive()
    }
}
