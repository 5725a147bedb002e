use alloc::vec;
use alloc::vec::Vec;

use super::geometry::Geometry;
use super::log::Log;
use super::record::{Kind, RawKey, u32_at};
use super::{Digest, Location, Module, StoreError};
use crate::map::Map;

const FILLING: u8 = 0;
const STORED: u8 = 1;
/// Bytes of a module's record in the log: first unit, size, state.
pub(super) const RECORD: usize = 9;

/// Where modules lie: runs of whole erase units, each holding one module from its first byte on.
pub(super) struct Modules {
    geometry: Geometry,
    entries: Map<Digest, Entry>,
    units: Vec<Unit>,
}

/// What is known of an erase unit that holds no module.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// It may hold anything, and what looks erased may have been erased only half: erase before use.
    Unknown,
    /// Erased since the last boot.
    Erased,
    /// An erase or program failed since the last boot: left out until the next.
    Failed,
}

/// One module.
pub(super) struct Entry {
    pub(super) first_unit: u32,
    pub(super) size: u32,
    pub(super) state: State,
}

/// How far a module has come.
pub(super) enum State {
    /// Its units are being erased; nothing of it is in the log.
    Reserving,
    /// In the log; `filling` says how far it has come.
    Filling(Filling),
    /// In the log as whole.
    Stored {
        /// Whether its bytes were read and hashed since the last boot.
        verified: bool,
    },
    /// Gone from the log; its units are being erased.
    Leaving,
}

/// A module that is being downloaded.
pub(super) struct Filling {
    /// Bytes that are in the flash: whole words, or all.
    pub(super) written: u32,
    /// The bytes behind them that do not make a word yet.
    pub(super) rest: Vec<u8>,
    /// Where the next accepted append goes on, once those before it are carried out.
    pub(super) accepted: u32,
    pub(super) doubt: Doubt,
}

/// What has to happen before more is programmed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    None,
    /// The word at `written` stands in the flash already, whole or cut short: compare it.
    Word,
    /// A program failed somewhere behind `written`: erase the unit and go on from its start.
    Unit,
}

impl Modules {
    pub(super) fn new(geometry: Geometry) -> Modules {
        Modules { geometry, entries: Map::default(), units: vec![Unit::Unknown; geometry.modules.units as usize] }
    }

    /// Takes over the directory from the log. Records that contradict each other are dropped; returns how many.
    pub(super) fn load(&mut self, log: &mut Log) -> u32 {
        let mut refused = Vec::new();
        for (key, value) in log.values.iter().filter(|(key, _)| key.kind == Kind::Module) {
            match (Digest::try_from(&key.name[..]), decode(value)) {
                (Ok(digest), Some(entry)) if self.is_free(&entry) => drop(self.entries.insert(digest, entry)),
                _ => refused.push(key.clone()),
            }
        }
        for key in &refused {
            log.values.remove(key);
            // The log still has the record: the next change leaves it behind.
            log.appendable = false;
        }
        refused.len() as u32
    }

    fn is_free(&self, new: &Entry) -> bool {
        let end = |entry: &Entry| entry.first_unit.checked_add(self.units_of(entry.size));
        let Some(new_end) = end(new) else { return false };
        new.size > 0
            && new_end <= self.geometry.modules.units
            && self
                .entries
                .values()
                .all(|old| end(old).is_some_and(|old_end| old_end <= new.first_unit || new_end <= old.first_unit))
    }

    /// The first unfinished module behind `after`, with the first byte of its first unit and the first byte behind its
    /// last.
    pub(super) fn filling_after(&self, after: Option<&Digest>) -> Option<(Digest, u32, u32)> {
        let mut behind = self.entries.behind(after);
        let (digest, entry) = behind.find(|(_, entry)| matches!(entry.state, State::Filling(_)))?;
        let start = self.address(entry.first_unit);
        Some((*digest, start, start + self.units_of(entry.size) * self.geometry.modules.unit))
    }

    /// Goes on with an unfinished module at the last word that is not erased.
    pub(super) fn resume(&mut self, digest: &Digest, written: u32) {
        if let Some(Entry { size, state: State::Filling(filling), .. }) = self.entries.get_mut(digest) {
            // Behind the last byte there is only padding; anything else is a leftover that the hash will find.
            let last_word = (*size - 1) / self.geometry.word * self.geometry.word;
            *filling = Filling {
                written: written.min(last_word),
                rest: Vec::new(),
                accepted: written.min(last_word),
                doubt: Doubt::Word,
            };
        }
    }

    /// Finds room for a module and keeps it, in memory only.
    pub(super) fn reserve(&mut self, digest: Digest, size: u32) -> Result<(), StoreError> {
        if size == 0 {
            return Err(StoreError::Empty);
        }
        if self.entries.contains_key(&digest) {
            return Err(StoreError::Exists);
        }
        let wanted = self.units_of(size);
        let mut taken: Vec<bool> = self.units.iter().map(|unit| *unit == Unit::Failed).collect();
        for entry in self.entries.values() {
            let first = entry.first_unit as usize;
            taken[first..first + self.units_of(entry.size) as usize].fill(true);
        }
        let mut largest = 0;
        let mut run = 0;
        for (unit, taken) in (0..).zip(taken) {
            run = if taken { 0 } else { run + 1 };
            largest = largest.max(run);
            if run == wanted {
                self.entries.insert(digest, Entry { first_unit: unit + 1 - wanted, size, state: State::Reserving });
                return Ok(());
            }
        }
        Err(StoreError::Full { needed: size, available: largest * self.geometry.modules.unit })
    }

    pub(super) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub(super) fn entry(&self, digest: &Digest) -> Option<&Entry> {
        self.entries.get(digest)
    }

    pub(super) fn entry_mut(&mut self, digest: &Digest) -> Option<&mut Entry> {
        self.entries.get_mut(digest)
    }

    pub(super) fn forget(&mut self, digest: &Digest) {
        self.entries.remove(digest);
    }

    pub(super) fn units_of(&self, size: u32) -> u32 {
        size.div_ceil(self.geometry.modules.unit)
    }

    /// First byte of a unit.
    pub(super) fn address(&self, unit: u32) -> u32 {
        self.geometry.modules.address + unit * self.geometry.modules.unit
    }

    pub(super) fn is_erased(&self, unit: u32) -> bool {
        self.units[unit as usize] == Unit::Erased
    }

    pub(super) fn erased(&mut self, unit: u32) {
        self.units[unit as usize] = Unit::Erased;
    }

    pub(super) fn used(&mut self, unit: u32) {
        self.units[unit as usize] = Unit::Unknown;
    }

    pub(super) fn failed(&mut self, unit: u32) {
        self.units[unit as usize] = Unit::Failed;
    }

    pub(super) fn module(&self, digest: &Digest) -> Option<Module> {
        let entry = self.entries.get(digest)?;
        let size = entry.size;
        match &entry.state {
            State::Filling(filling) => Some(Module::Filling { size, next: filling.next().min(size) }),
            State::Stored { verified } => Some(Module::Stored { size, verified: *verified }),
            State::Reserving | State::Leaving => None,
        }
    }

    pub(super) fn modules(&self) -> impl Iterator<Item = (Digest, Module)> {
        self.entries.keys().filter_map(|digest| Some((*digest, self.module(digest)?)))
    }

    pub(super) fn locate(&self, digest: &Digest) -> Option<Location> {
        let entry = self.entries.get(digest)?;
        matches!(entry.state, State::Stored { verified: true })
            .then(|| Location { address: self.address(entry.first_unit), size: entry.size })
    }
}

impl Filling {
    pub(super) fn fresh() -> Filling {
        Filling { written: 0, rest: Vec::new(), accepted: 0, doubt: Doubt::None }
    }

    /// Where the download goes on.
    pub(super) fn next(&self) -> u32 {
        self.written + self.rest.len() as u32
    }

    /// So many bytes of `rest` are in the flash now.
    pub(super) fn advance(&mut self, length: u32) {
        self.written += length;
        self.rest.drain(..length as usize);
    }

    /// Forgets what is behind `written`.
    pub(super) fn back_to(&self, written: u32, doubt: Doubt) -> Filling {
        Filling { written, rest: Vec::new(), accepted: written, doubt }
    }
}

/// The record of a module that is being filled, or is whole.
pub(super) fn encode(entry: &Entry, stored: bool) -> Vec<u8> {
    let mut value = Vec::with_capacity(RECORD);
    value.extend_from_slice(&entry.first_unit.to_le_bytes());
    value.extend_from_slice(&entry.size.to_le_bytes());
    value.push(if stored { STORED } else { FILLING });
    value
}

fn decode(value: &[u8]) -> Option<Entry> {
    let value: &[u8; RECORD] = value.try_into().ok()?;
    let state = match value[8] {
        FILLING => State::Filling(Filling::fresh()),
        STORED => State::Stored { verified: false },
        _ => return None,
    };
    Some(Entry { first_unit: u32_at(value, 0), size: u32_at(value, 4), state })
}

/// The key of a module's record in the log.
pub(super) fn key(digest: &Digest) -> RawKey {
    RawKey { kind: Kind::Module, name: digest.to_vec() }
}
