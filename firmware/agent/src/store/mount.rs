use alloc::vec::Vec;

use super::action::FlashError;
use super::geometry::{Geometry, Half};
use super::log::{Log, erase_half};
use super::modules::Modules;
use super::record::{self, Place, RECORD_HEADER, RawKey, RecordHeader};
use super::step::{Answer, Burn, EraseRun, Step, Trouble, Wish};
use super::{Digest, Formatted, MAX_DAMAGE, Report};

/// Bytes read at a time where much is looked through.
const BLOCK: u32 = 256;

/// Finds the newest half of the log, takes over every record that is whole, and finds how far unfinished modules have
/// come.
pub(super) struct Mount {
    phase: Phase,
    report: Report,
    generations: [Option<u32>; 2],
    /// Whether the header of a half that does not count holds anything.
    disturbed: [bool; 2],
    sequence: u32,
}

enum Phase {
    Begin,
    Header(Half),
    /// No half has a header: was there ever a record?
    Blank {
        half: Half,
        offset: u32,
    },
    FormatErase(EraseRun),
    FormatHeader {
        burn: Burn,
        copy: u32,
    },
    Record {
        offset: u32,
    },
    Payload {
        offset: u32,
        header: RecordHeader,
    },
    /// Is everything behind the last record erased?
    Tail {
        offset: u32,
        at: u32,
    },
    /// What stands at `from` is no record: is there one behind it?
    Resync {
        from: u32,
        at: u32,
    },
    ResyncPayload {
        from: u32,
        at: u32,
        header: RecordHeader,
    },
    EraseSpare(EraseRun),
    /// How far has an unfinished module come? Looks for its last word that is not erased, from `end` down.
    Filling {
        digest: Digest,
        start: u32,
        end: u32,
        block: u32,
    },
    Modules,
    NextFilling(Option<Digest>),
}

impl Mount {
    pub(super) fn new() -> Mount {
        Mount {
            phase: Phase::Begin,
            report: Report::default(),
            generations: [None; 2],
            disturbed: [false; 2],
            sequence: 0,
        }
    }

    pub(super) fn step(
        &mut self,
        log: &mut Log,
        modules: &mut Modules,
        mut answer: Answer,
    ) -> Step<Result<Report, Trouble>> {
        let geometry = log.geometry;
        loop {
            let answered = answer.take();
            self.phase = match &mut self.phase {
                Phase::Begin => Phase::Header(Half::First),
                Phase::Header(half) => {
                    let half = *half;
                    let Some(read) = answered else {
                        return want(geometry.half_address(half), record::first_record(&geometry));
                    };
                    self.take_header(&geometry, half, read);
                    match half {
                        Half::First => Phase::Header(Half::Second),
                        Half::Second => self.choose(log),
                    }
                }
                Phase::Blank { half, offset } => {
                    let (half, offset) = (*half, *offset);
                    let length = BLOCK.min(geometry.half_size() - offset);
                    match answered {
                        None if length > 0 => return want(geometry.half_address(half) + offset, length),
                        Some(Ok(bytes)) if record::is_erased(&bytes) => Phase::Blank { half, offset: offset + length },
                        None if half == Half::First => {
                            Phase::Blank { half: Half::Second, offset: record::first_record(&geometry) }
                        }
                        None => self.format(&geometry, Formatted::Blank),
                        Some(_) => self.format(&geometry, Formatted::Unreadable),
                    }
                }
                Phase::FormatErase(erase) => match erase.step(answered) {
                    Step::Do(wish) => return Step::Do(wish),
                    Step::Done(Err(trouble)) => return Step::Done(Err(trouble)),
                    Step::Done(Ok(())) => format_header(&geometry, 0),
                },
                Phase::FormatHeader { burn, copy } => match burn.step(answered) {
                    Step::Do(wish) => return Step::Do(wish),
                    Step::Done(Err(trouble)) => return Step::Done(Err(trouble)),
                    Step::Done(Ok(())) if *copy == 0 => format_header(&geometry, 1),
                    Step::Done(Ok(())) => {
                        log.appendable = true;
                        self.clear_spare(log)
                    }
                },
                Phase::Record { offset } => {
                    let offset = *offset;
                    if offset + RECORD_HEADER > geometry.half_size() {
                        self.end(log, offset)
                    } else {
                        match answered {
                            None => return want(log.address(offset), RECORD_HEADER),
                            Some(Ok(bytes)) if record::is_erased(&bytes) => Phase::Tail { offset, at: offset },
                            Some(read) => match parse(log, offset, read) {
                                Some(header) => Phase::Payload { offset, header },
                                None => Phase::Resync { from: offset, at: offset + geometry.word },
                            },
                        }
                    }
                }
                Phase::Payload { offset, header } => {
                    let (offset, header) = (*offset, *header);
                    let Some(read) = answer_or_nothing(answered, header.payload_length()) else {
                        return want(log.address(offset) + RECORD_HEADER, header.payload_length());
                    };
                    let size = geometry.words(RECORD_HEADER + header.payload_length());
                    match read.ok().and_then(|payload| header.payload(&payload)) {
                        Some((key, value)) => self.take_record(log, header, key, value),
                        None => self.damage(log.address(offset), size),
                    }
                    Phase::Record { offset: offset + size }
                }
                Phase::Tail { offset, at } => {
                    let (offset, at) = (*offset, *at);
                    let length = BLOCK.min(geometry.half_size() - at);
                    match answered {
                        None if length == 0 => self.end(log, offset),
                        None => return want(log.address(at), length),
                        Some(Ok(bytes)) if record::is_erased(&bytes) => Phase::Tail { offset, at: at + length },
                        Some(_) => Phase::Resync { from: offset, at: offset + geometry.word },
                    }
                }
                Phase::Resync { from, at } => {
                    let (from, at) = (*from, *at);
                    if at + RECORD_HEADER > geometry.half_size() {
                        self.damage(log.address(from), geometry.half_size() - from);
                        self.end(log, geometry.half_size())
                    } else {
                        match answered {
                            None => return want(log.address(at), RECORD_HEADER),
                            Some(read) => match parse(log, at, read) {
                                Some(header) => Phase::ResyncPayload { from, at, header },
                                None => Phase::Resync { from, at: at + geometry.word },
                            },
                        }
                    }
                }
                Phase::ResyncPayload { from, at, header } => {
                    let (from, at, header) = (*from, *at, *header);
                    let Some(read) = answer_or_nothing(answered, header.payload_length()) else {
                        return want(log.address(at) + RECORD_HEADER, header.payload_length());
                    };
                    if read.is_ok_and(|payload| header.payload(&payload).is_some()) {
                        self.damage(log.address(from), at - from);
                        Phase::Record { offset: at }
                    } else {
                        Phase::Resync { from, at: at + geometry.word }
                    }
                }
                Phase::EraseSpare(erase) => match erase.step(answered) {
                    Step::Do(wish) => return Step::Do(wish),
                    Step::Done(erased) => {
                        log.spare_clean = erased.is_ok();
                        Phase::Modules
                    }
                },
                Phase::Modules => {
                    self.report.lost += modules.load(log);
                    Phase::NextFilling(None)
                }
                Phase::NextFilling(after) => match modules.filling_after(after.as_ref()) {
                    Some((digest, start, end)) => Phase::Filling { digest, start, end, block: BLOCK },
                    None => return Step::Done(Ok(core::mem::take(&mut self.report))),
                },
                Phase::Filling { digest, start, end, block } => {
                    let (digest, start, end, block) = (*digest, *start, *end, *block);
                    let length = block.min(end - start);
                    match answered {
                        None if length == 0 => {
                            modules.resume(&digest, 0);
                            Phase::NextFilling(Some(digest))
                        }
                        None => return want(end - length, length),
                        Some(Err(_)) if block > geometry.word => {
                            Phase::Filling { digest, start, end, block: geometry.word }
                        }
                        Some(read) => {
                            // A word that cannot be read was cut short: it is the last one.
                            let last = read.map_or(Some(0), |bytes| bytes.iter().rposition(|byte| *byte != 0xFF));
                            match last {
                                None => Phase::Filling { digest, start, end: end - length, block },
                                Some(last) => {
                                    let written = end - length + last as u32 - start;
                                    modules.resume(&digest, written - written % geometry.word);
                                    Phase::NextFilling(Some(digest))
                                }
                            }
                        }
                    }
                }
            };
        }
    }

    fn take_header(&mut self, geometry: &Geometry, half: Half, read: Result<Vec<u8>, FlashError>) {
        let slot = record::header_slot(geometry) as usize;
        let bytes = read.unwrap_or_default();
        let (first, copy) = bytes.split_at(slot.min(bytes.len()));
        let generation = record::parse_half_header(geometry, first).max(record::parse_half_header(geometry, copy));
        self.generations[half as usize] = generation;
        self.disturbed[half as usize] = bytes.is_empty() || !record::is_erased(&bytes);
    }

    fn choose(&mut self, log: &mut Log) -> Phase {
        let first_record = record::first_record(&log.geometry);
        let [first, second] = self.generations;
        let (half, generation) = match (first, second) {
            (None, None) => return Phase::Blank { half: Half::First, offset: first_record },
            (first, Some(generation)) if first < Some(generation) => (Half::Second, generation),
            (first, _) => (Half::First, first.unwrap_or_default()),
        };
        log.half = half;
        log.generation = generation;
        Phase::Record { offset: first_record }
    }

    fn format(&mut self, geometry: &Geometry, why: Formatted) -> Phase {
        self.report.formatted = Some(why);
        Phase::FormatErase(erase_half(geometry, Half::First))
    }

    fn take_record(&mut self, log: &mut Log, header: RecordHeader, key: RawKey, value: Option<Vec<u8>>) {
        self.report.lost += header.sequence.saturating_sub(self.sequence);
        self.sequence = header.sequence.wrapping_add(1);
        match value {
            Some(value) => log.values.insert(key, value),
            None => log.values.remove(&key),
        };
    }

    fn damage(&mut self, address: u32, length: u32) {
        if self.report.damage.len() < MAX_DAMAGE {
            self.report.damage.push((address, length));
        }
    }

    /// The records of the half end at `offset`.
    fn end(&mut self, log: &mut Log, offset: u32) -> Phase {
        log.tail = offset;
        log.sequence = self.sequence;
        // Behind damage nothing is appended: the next change moves what is whole to the other half.
        log.appendable = self.report.damage.is_empty();
        self.clear_spare(log)
    }

    /// Erases the half that does not count if its header holds anything: an outdated log must not come back when the
    /// newer one is damaged.
    fn clear_spare(&mut self, log: &Log) -> Phase {
        let spare = log.half.other();
        if self.disturbed[spare as usize] {
            Phase::EraseSpare(erase_half(&log.geometry, spare))
        } else {
            Phase::Modules
        }
    }
}

fn format_header(geometry: &Geometry, copy: u32) -> Phase {
    let address = geometry.half_address(Half::First) + copy * record::header_slot(geometry);
    Phase::FormatHeader { burn: Burn::new(address, record::encode_half_header(geometry, 1)), copy }
}

fn want<T>(address: u32, length: u32) -> Step<T> {
    Step::Do(Wish::Read { address, length })
}

/// Nothing has to be read where nothing stands.
fn answer_or_nothing(answered: Answer, length: u32) -> Answer {
    if length == 0 { Some(Ok(Vec::new())) } else { answered }
}

/// The header at `offset`, if it is one and its record ends within the half.
fn parse(log: &Log, offset: u32, read: Result<Vec<u8>, FlashError>) -> Option<RecordHeader> {
    let header = RecordHeader::parse(&read.ok()?, Place { generation: log.generation, offset })?;
    let end = offset + log.geometry.words(RECORD_HEADER + header.payload_length());
    (end <= log.geometry.half_size()).then_some(header)
}
