//! What the store should be: maps, and the arithmetic of its specification. No flash, no steps, no recovery.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use wasmbed_agent::store::{Digest, Geometry, Key, Module, Outcome, StoreError};

/// What is asked of store and model alike. A module is known by its size.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Put(Key, Vec<u8>),
    Remove(Key),
    KeySet(u64, Vec<u8>),
    Reserve(u32),
    /// So many more bytes of a module.
    Append(u32, u32),
    Check(u32),
    Discard(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    geometry: Geometry,
    pub(crate) values: BTreeMap<Key, Vec<u8>>,
    pub(crate) keyset: Option<(u64, Vec<u8>)>,
    pub(crate) modules: BTreeMap<Digest, State>,
    /// Which module lies where, in the model's own memory.
    units: BTreeMap<Digest, std::ops::Range<u32>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Filling { size: u32, next: u32 },
    Stored { size: u32 },
}

impl From<Module> for State {
    fn from(module: Module) -> State {
        match module {
            Module::Filling { size, next } => State::Filling { size, next },
            Module::Stored { size, .. } => State::Stored { size },
        }
    }
}

impl Model {
    pub(crate) fn new(geometry: Geometry) -> Model {
        Model { geometry, values: BTreeMap::new(), keyset: None, modules: BTreeMap::new(), units: BTreeMap::new() }
    }

    /// What survives of it, without where modules lie.
    pub(crate) fn visible(&self) -> Model {
        Model { units: BTreeMap::new(), ..self.clone() }
    }

    /// Takes over how far modules have come, which a loss of power may set back.
    pub(crate) fn set_back(&mut self, observed: &Model) {
        for (digest, state) in &mut self.modules {
            if let (State::Filling { next, .. }, Some(State::Filling { next: seen, .. })) =
                (state, observed.modules.get(digest))
            {
                *next = *seen;
            }
        }
    }

    pub(crate) fn apply(&mut self, op: &Op) -> Result<Outcome, StoreError> {
        match op {
            Op::Put(key, value) => {
                self.room(self.key_length(key), value.len(), self.values.get(key).map(Vec::len))?;
                self.values.insert(key.clone(), value.clone());
                Ok(Outcome::Written)
            }
            Op::Remove(key) => {
                self.values.remove(key);
                Ok(Outcome::Removed)
            }
            Op::KeySet(epoch, bytes) => {
                if let Some((stored, _)) = self.keyset.as_ref().filter(|(stored, _)| stored > epoch) {
                    return Err(StoreError::EpochBelow { stored: *stored });
                }
                self.room(0, bytes.len() + 8, self.keyset.as_ref().map(|(_, bytes)| bytes.len() + 8))?;
                self.keyset = Some((*epoch, bytes.clone()));
                Ok(Outcome::Written)
            }
            Op::Reserve(size) => self.reserve(*size),
            Op::Append(size, length) => match self.modules.get_mut(&digest(*size)) {
                Some(State::Filling { next, .. }) => {
                    *next = (*next + length).min(*size);
                    Ok(Outcome::Appended { next: *next })
                }
                _ => Err(StoreError::Unknown),
            },
            Op::Check(size) => match self.modules.get_mut(&digest(*size)) {
                None => Err(StoreError::Unknown),
                Some(State::Filling { next, .. }) if *next < *size => Ok(Outcome::Incomplete { next: *next }),
                Some(state @ State::Filling { .. }) => {
                    *state = State::Stored { size: *size };
                    Ok(Outcome::Stored)
                }
                Some(State::Stored { .. }) => Ok(Outcome::Verified),
            },
            Op::Discard(size) => {
                self.modules.remove(&digest(*size)).ok_or(StoreError::Unknown)?;
                self.units.remove(&digest(*size));
                Ok(Outcome::Discarded)
            }
        }
    }

    fn reserve(&mut self, size: u32) -> Result<Outcome, StoreError> {
        let key = digest(size);
        self.room(32, 9, self.modules.get(&key).map(|_| 9))?;
        if size == 0 {
            return Err(StoreError::Empty);
        }
        if self.modules.contains_key(&key) {
            return Err(StoreError::Exists);
        }
        let wanted = size.div_ceil(self.geometry.modules.unit);
        let units = self.geometry.modules.units;
        let is_free = |unit: &u32| !self.units.values().any(|taken| taken.contains(unit));
        let runs = |first: u32| (first..units).take_while(is_free).count() as u32;
        match (0..units).find(|first| runs(*first) >= wanted) {
            Some(first) => {
                self.units.insert(key, first..first + wanted);
                self.modules.insert(key, State::Filling { size, next: 0 });
                Ok(Outcome::Reserved)
            }
            None => {
                let largest = (0..units).map(runs).max().unwrap_or(0);
                Err(StoreError::Full { needed: size, available: largest * self.geometry.modules.unit })
            }
        }
    }

    fn room(&self, key: usize, value: usize, old: Option<usize>) -> Result<(), StoreError> {
        let word = self.geometry.word;
        let record = |length: usize| (16 + length as u32).next_multiple_of(word);
        let values = self.values.iter().map(|(key, value)| record(self.key_length(key) + value.len()));
        let keyset = self.keyset.iter().map(|(_, bytes)| record(8 + bytes.len()));
        let modules = self.modules.iter().map(|_| record(32 + 9));
        let live: u32 = values.chain(keyset).chain(modules).sum();
        let live = live - old.map_or(0, |old| record(key + old));
        let half = self.geometry.half_size() - 2 * 16_u32.next_multiple_of(word);
        let available = half - half / 8 - live;
        let needed = record(key + value);
        if needed <= available { Ok(()) } else { Err(StoreError::Full { needed, available }) }
    }

    fn key_length(&self, key: &Key) -> usize {
        match key {
            Key::Assignment | Key::Panic => 0,
            Key::Release(_) => 32,
            Key::Application(name) => name.len(),
            Key::Other(_) => 1,
        }
    }
}

/// The bytes of the module of that size.
pub(crate) fn content(size: u32) -> Vec<u8> {
    let mut state = size.wrapping_mul(0x85EB_CA6B) | 1;
    (0..size)
        .map(|_| {
            state = state.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
            (state >> 24) as u8
        })
        .collect()
}

/// Its name.
pub(crate) fn digest(size: u32) -> Digest {
    Sha256::digest(content(size)).into()
}
