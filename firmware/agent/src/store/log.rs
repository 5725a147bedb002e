use alloc::vec::Vec;

use super::action::FlashError;
use super::geometry::{Geometry, Half};
use super::record::{self, Place, RawKey};
use super::step::{Answer, Burn, EraseRun, Step, Trouble};
use crate::map::Map;

/// The log as it is known after mounting: where it goes on, and the durable value of every key.
pub(super) struct Log {
    pub(super) geometry: Geometry,
    pub(super) half: Half,
    pub(super) generation: u32,
    /// Where the next record goes, from the start of the half.
    pub(super) tail: u32,
    pub(super) sequence: u32,
    /// Whether everything behind `tail` is known to be erased and undisturbed.
    pub(super) appendable: bool,
    /// Whether the other half was erased since the last boot and not touched since. What was erased before a boot may
    /// have been cut short and only look erased.
    pub(super) spare_clean: bool,
    pub(super) values: Map<RawKey, Vec<u8>>,
}

impl Log {
    /// An empty log in the first half, as formatting leaves it.
    pub(super) fn blank(geometry: Geometry) -> Log {
        Log {
            geometry,
            half: Half::First,
            generation: 1,
            tail: record::first_record(&geometry),
            sequence: 0,
            appendable: false,
            spare_clean: false,
            values: Map::default(),
        }
    }

    /// Bytes of records that may be live at a time: an eighth of a half stays free, so that a compaction always pays.
    pub(super) fn capacity(&self) -> u32 {
        let room = self.geometry.half_size() - record::first_record(&self.geometry);
        room - room / 8
    }

    pub(super) fn address(&self, offset: u32) -> u32 {
        self.geometry.half_address(self.half) + offset
    }

    fn room(&self) -> u32 {
        self.geometry.half_size() - self.tail
    }

    fn apply(&mut self, key: &RawKey, value: Option<&Vec<u8>>) {
        match value {
            Some(value) => self.values.insert(key.clone(), value.clone()),
            None => self.values.remove(key),
        };
    }
}

/// One atomic change of the log: a key gets a value, or loses it.
pub(super) struct Change {
    pub(super) key: RawKey,
    pub(super) value: Option<Vec<u8>>,
    phase: Phase,
}

enum Phase {
    Start,
    Append { record: Burn, size: u32 },
    Compact(Compaction),
}

impl Change {
    pub(super) fn new(key: RawKey, value: Option<Vec<u8>>) -> Change {
        Change { key, value, phase: Phase::Start }
    }

    /// Bytes of its record.
    pub(super) fn size(&self, geometry: &Geometry) -> u32 {
        record::record_size(geometry, &self.key, self.value.as_ref().map_or(0, Vec::len))
    }

    pub(super) fn step(&mut self, log: &mut Log, mut answer: Answer) -> Step<Result<(), Trouble>> {
        loop {
            match &mut self.phase {
                Phase::Start => {
                    if log.values.get(&self.key) == self.value.as_ref() {
                        return Step::Done(Ok(()));
                    }
                    let size = self.size(&log.geometry);
                    self.phase = if log.appendable && size <= log.room() {
                        let place = Place { generation: log.generation, offset: log.tail };
                        let bytes =
                            record::encode_record(&log.geometry, place, log.sequence, &self.key, self.value.as_deref());
                        Phase::Append { record: Burn::new(log.address(log.tail), bytes), size }
                    } else {
                        Phase::Compact(Compaction::new(log))
                    };
                }
                Phase::Append { record, size } => match record.step(answer.take()) {
                    Step::Do(wish) => return Step::Do(wish),
                    Step::Done(Ok(())) => {
                        log.tail += *size;
                        log.sequence += 1;
                        log.apply(&self.key, self.value.as_ref());
                        return Step::Done(Ok(()));
                    }
                    Step::Done(Err(_)) => {
                        log.appendable = false;
                        self.phase = Phase::Compact(Compaction::new(log));
                    }
                },
                Phase::Compact(compaction) => return compaction.step(log, (&self.key, self.value.as_ref()), answer),
            }
        }
    }
}

/// Moves what is live, with one change applied, to the other half. Its header is written last, so it counts from there
/// on and not before.
struct Compaction {
    target: Half,
    generation: u32,
    tail: u32,
    sequence: u32,
    /// The last of the keys that stay which was copied.
    copied: Option<RawKey>,
    /// Whether the change, which comes last, was written.
    changed: bool,
    phase: CompactionPhase,
}

enum CompactionPhase {
    EraseTarget(EraseRun),
    Next,
    Copy { record: Burn, size: u32 },
    Header(Burn),
    HeaderCopy(Burn),
    EraseOld(EraseRun),
}

impl Compaction {
    fn new(log: &mut Log) -> Compaction {
        let target = log.half.other();
        let phase = if log.spare_clean {
            CompactionPhase::Next
        } else {
            CompactionPhase::EraseTarget(erase_half(&log.geometry, target))
        };
        log.spare_clean = false;
        Compaction {
            target,
            generation: log.generation.wrapping_add(1),
            tail: record::first_record(&log.geometry),
            sequence: 0,
            copied: None,
            changed: false,
            phase,
        }
    }

    fn step(
        &mut self,
        log: &mut Log,
        change: (&RawKey, Option<&Vec<u8>>),
        mut answer: Answer,
    ) -> Step<Result<(), Trouble>> {
        let geometry = log.geometry;
        let start = geometry.half_address(self.target);
        loop {
            self.phase = match &mut self.phase {
                CompactionPhase::EraseTarget(erase) => match erase.step(answer.take()) {
                    Step::Done(Ok(())) => CompactionPhase::Next,
                    other => return other,
                },
                CompactionPhase::Next => match self.next_record(log, change) {
                    Ok(Some((record, size))) => CompactionPhase::Copy { record, size },
                    Ok(None) => CompactionPhase::Header(Burn::new(
                        start,
                        record::encode_half_header(&geometry, self.generation),
                    )),
                    Err(trouble) => return Step::Done(Err(trouble)),
                },
                CompactionPhase::Copy { record, size } => match record.step(answer.take()) {
                    Step::Done(Ok(())) => {
                        self.tail += *size;
                        self.sequence += 1;
                        CompactionPhase::Next
                    }
                    other => return other,
                },
                CompactionPhase::Header(header) => match header.step(answer.take()) {
                    Step::Done(Ok(())) => {
                        self.switch(log, change);
                        let address = start + record::header_slot(&geometry);
                        CompactionPhase::HeaderCopy(Burn::new(
                            address,
                            record::encode_half_header(&geometry, self.generation),
                        ))
                    }
                    Step::Done(Err(trouble)) => {
                        // The new half may count after a reset, so nothing may go to the old one any more: the next
                        // change erases the new one first.
                        log.appendable = false;
                        return Step::Done(Err(trouble));
                    }
                    wish => return wish,
                },
                // The change is durable: trouble from here on costs a spare header or a later erase, not the change.
                CompactionPhase::HeaderCopy(header) => match header.step(answer.take()) {
                    Step::Done(_) => CompactionPhase::EraseOld(erase_half(&geometry, self.target.other())),
                    wish => return wish,
                },
                CompactionPhase::EraseOld(erase) => match erase.step(answer.take()) {
                    Step::Done(erased) => {
                        log.spare_clean = erased.is_ok();
                        return Step::Done(Ok(()));
                    }
                    wish => return wish,
                },
            };
        }
    }

    /// The next record to copy, with its size; none when all are.
    fn next_record(
        &mut self,
        log: &Log,
        (key, value): (&RawKey, Option<&Vec<u8>>),
    ) -> Result<Option<(Burn, u32)>, Trouble> {
        let kept = log.values.behind(self.copied.as_ref()).find(|(kept, _)| *kept != key);
        let (key, value) = match (kept, value) {
            (Some(kept), _) => {
                self.copied = Some(kept.0.clone());
                kept
            }
            (None, Some(value)) if !self.changed => {
                self.changed = true;
                (key, value)
            }
            (None, _) => return Ok(None),
        };
        let address = log.geometry.half_address(self.target) + self.tail;
        let size = record::record_size(&log.geometry, key, value.len());
        if self.tail + size > log.geometry.half_size() {
            // Only after a removal failed: what was planned to be gone is still there.
            return Err(Trouble { error: FlashError::NoSpace, address });
        }
        let place = Place { generation: self.generation, offset: self.tail };
        let bytes = record::encode_record(&log.geometry, place, self.sequence, key, Some(value));
        Ok(Some((Burn::new(address, bytes), size)))
    }

    fn switch(&self, log: &mut Log, (key, value): (&RawKey, Option<&Vec<u8>>)) {
        log.half = self.target;
        log.generation = self.generation;
        log.tail = self.tail;
        log.sequence = self.sequence;
        log.appendable = true;
        log.apply(key, value);
    }
}

pub(super) fn erase_half(geometry: &Geometry, half: Half) -> EraseRun {
    let units = geometry.log.units / 2;
    let first = match half {
        Half::First => 0,
        Half::Second => units,
    };
    EraseRun::new(&geometry.log, first, units)
}
