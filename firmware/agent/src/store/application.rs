use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Digest;

const VERSION: u8 = 1;
const HAS_CURRENT: u8 = 1;
const HAS_PREVIOUS: u8 = 2;
const CONFIRMED: u8 = 4;
const HAS_FAILED: u8 = 8;

/// What a device remembers about one application: two releases, so that it can fall back, and what went wrong.
///
/// It is one record of the log, so every change of it is atomic: a release becomes confirmed, or is fallen back from,
/// at once or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationRecord {
    /// The release that is to run.
    pub current: Option<Slot>,
    /// The confirmed release before it, to fall back to.
    pub previous: Option<Slot>,
    /// Whether `current` has run healthy.
    pub confirmed: bool,
    /// The restart counter of the Assignment that `current` was last started for.
    pub restart_counter: u64,
    /// How often it was started again since it last ran healthy.
    pub restarts: u32,
    /// The release that was given up, so that it is not tried again.
    pub failed: Option<Failed>,
}

/// A release together with the module it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// sha256 of the release's payload.
    pub release: Digest,
    /// sha256 of the module.
    pub module: Digest,
}

/// A release that did not run, and under which restart counter that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// sha256 of the release's payload.
    pub release: Digest,
    /// The restart counter it failed under: a greater one tries it again.
    pub restart_counter: u64,
    /// Why, for people. At most [`Failed::MAX_REASON`] bytes are kept.
    pub reason: String,
}

impl Failed {
    /// Bytes of a reason that are kept; the rest is cut at a character.
    pub const MAX_REASON: usize = 200;
}

impl ApplicationRecord {
    /// The record as it stands in the log.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let mut bytes = Vec::with_capacity(160);
        bytes.push(VERSION);
        bytes.push(
            flag(self.current.is_some(), HAS_CURRENT)
                | flag(self.previous.is_some(), HAS_PREVIOUS)
                | flag(self.confirmed, CONFIRMED)
                | flag(self.failed.is_some(), HAS_FAILED),
        );
        bytes.extend_from_slice(&self.restart_counter.to_le_bytes());
        bytes.extend_from_slice(&self.restarts.to_le_bytes());
        for slot in [self.current, self.previous].into_iter().flatten() {
            bytes.extend_from_slice(&slot.release);
            bytes.extend_from_slice(&slot.module);
        }
        if let Some(failed) = &self.failed {
            bytes.extend_from_slice(&failed.release);
            bytes.extend_from_slice(&failed.restart_counter.to_le_bytes());
            bytes.extend_from_slice(&failed.reason.as_bytes()[..failed.reason.floor_char_boundary(Failed::MAX_REASON)]);
        }
        bytes
    }

    /// Reads a record back; `None` if these bytes are not one (a newer firmware wrote it, say).
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<ApplicationRecord> {
        let mut rest = bytes;
        let [version, flags] = take(&mut rest)?;
        if version != VERSION || flags & !(HAS_CURRENT | HAS_PREVIOUS | CONFIRMED | HAS_FAILED) != 0 {
            return None;
        }
        let restart_counter = u64::from_le_bytes(take(&mut rest)?);
        let restarts = u32::from_le_bytes(take(&mut rest)?);
        let current = if flags & HAS_CURRENT != 0 { Some(take_slot(&mut rest)?) } else { None };
        let previous = if flags & HAS_PREVIOUS != 0 { Some(take_slot(&mut rest)?) } else { None };
        let failed = if flags & HAS_FAILED != 0 {
            let release = take(&mut rest)?;
            let restart_counter = u64::from_le_bytes(take(&mut rest)?);
            let reason = core::str::from_utf8(core::mem::take(&mut rest)).ok()?.to_string();
            Some(Failed { release, restart_counter, reason })
        } else {
            None
        };
        rest.is_empty().then_some(ApplicationRecord {
            current,
            previous,
            confirmed: flags & CONFIRMED != 0,
            restart_counter,
            restarts,
            failed,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*first)
}

fn take_slot(rest: &mut &[u8]) -> Option<Slot> {
    Some(Slot { release: take(rest)?, module: take(rest)? })
}
