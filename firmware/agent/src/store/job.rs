use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use super::log::{Change, Log};
use super::modules::{self, Doubt, Entry, Filling, Modules, State};
use super::record;
use super::step::{Answer, Step, Trouble, Wish};
use super::{Digest, Outcome};

/// Bytes read at a time while a module is hashed.
const BLOCK: u32 = 512;

/// One accepted write, carried out in the order in which they were accepted.
pub(super) enum Job {
    Change(Change),
    Reserve(Reserve),
    Append(Append),
    Check(Check),
    Discard(Discard),
}

impl Job {
    /// The change of the log that this job may make; what it removes only on failure does not count.
    pub(super) fn change(&self) -> Option<&Change> {
        match self {
            Job::Change(change) => Some(change),
            Job::Reserve(reserve) => Some(&reserve.change),
            Job::Append(_) | Job::Check(_) => None,
            Job::Discard(discard) => Some(&discard.change),
        }
    }

    pub(super) fn step(&mut self, log: &mut Log, modules: &mut Modules, answer: Answer) -> Step<Outcome> {
        match self {
            Job::Change(change) => match change.step(log, answer) {
                Step::Do(wish) => Step::Do(wish),
                Step::Done(Err(trouble)) => failed(trouble),
                Step::Done(Ok(())) if change.value.is_some() => Step::Done(Outcome::Written),
                Step::Done(Ok(())) => Step::Done(Outcome::Removed),
            },
            Job::Reserve(reserve) => reserve.step(log, modules, answer),
            Job::Append(append) => append.step(modules, answer),
            Job::Check(check) => check.step(log, modules, answer),
            Job::Discard(discard) => discard.step(log, modules, answer),
        }
    }
}

fn failed(Trouble { error, address }: Trouble) -> Step<Outcome> {
    Step::Done(Outcome::Failed { error, address })
}

/// Erases the units kept for a module, then enters it in the log.
pub(super) struct Reserve {
    digest: Digest,
    change: Change,
    /// The unit looked at, from the first of the module.
    unit: u32,
}

impl Reserve {
    /// `entry` is what [`Modules::reserve`] kept.
    pub(super) fn new(digest: Digest, entry: &Entry) -> Reserve {
        Reserve { digest, change: Change::new(modules::key(&digest), Some(modules::encode(entry, false))), unit: 0 }
    }

    fn step(&mut self, log: &mut Log, modules: &mut Modules, mut answer: Answer) -> Step<Outcome> {
        let Some(entry) = modules.entry(&self.digest) else { return Step::Done(Outcome::Gone) };
        let (first, units) = (entry.first_unit, modules.units_of(entry.size));
        while self.unit < units {
            let unit = first + self.unit;
            match answer.take() {
                None if !modules.is_erased(unit) => {
                    return Step::Do(Wish::Erase { address: modules.address(unit), length: log.geometry.modules.unit });
                }
                Some(Err(error)) => {
                    modules.failed(unit);
                    modules.forget(&self.digest);
                    return failed(Trouble { error, address: modules.address(unit) });
                }
                None => {}
                Some(Ok(_)) => modules.erased(unit),
            }
            self.unit += 1;
        }
        match self.change.step(log, answer) {
            Step::Do(wish) => Step::Do(wish),
            Step::Done(Err(trouble)) => {
                modules.forget(&self.digest);
                failed(trouble)
            }
            Step::Done(Ok(())) => {
                (first..first + units).for_each(|unit| modules.used(unit));
                if let Some(entry) = modules.entry_mut(&self.digest) {
                    entry.state = State::Filling(Filling::fresh());
                }
                Step::Done(Outcome::Reserved)
            }
        }
    }
}

/// Programs the next bytes of a module.
pub(super) struct Append {
    digest: Digest,
    offset: u32,
    bytes: Vec<u8>,
    phase: AppendPhase,
}

#[derive(Clone, Copy)]
enum AppendPhase {
    Start,
    Compare,
    RollBack,
    /// So many bytes are on their way.
    Program(u32),
}

impl Append {
    pub(super) fn new(digest: Digest, offset: u32, bytes: Vec<u8>) -> Append {
        Append { digest, offset, bytes, phase: AppendPhase::Start }
    }

    fn step(&mut self, modules: &mut Modules, mut answer: Answer) -> Step<Outcome> {
        let geometry = *modules.geometry();
        let Some(Entry { first_unit, size, state: State::Filling(filling) }) = modules.entry_mut(&self.digest) else {
            return Step::Done(Outcome::Gone);
        };
        let (start, size) = (geometry.modules.address + *first_unit * geometry.modules.unit, *size);
        loop {
            self.phase = match (self.phase, answer.take()) {
                (AppendPhase::Start, _) => {
                    if self.offset != filling.next().min(size) {
                        // An append before this one had to go back; this one is none of the bytes wanted now.
                        return Step::Done(Outcome::Appended { next: filling.next().min(size) });
                    }
                    filling.rest.append(&mut self.bytes);
                    if filling.written + filling.rest.len() as u32 == size {
                        filling.rest.resize(geometry.words(filling.rest.len() as u32) as usize, 0xFF);
                    }
                    match filling.doubt {
                        Doubt::Word if filling.rest.len() as u32 >= geometry.word => AppendPhase::Compare,
                        Doubt::Unit => AppendPhase::RollBack,
                        Doubt::None | Doubt::Word => AppendPhase::Program(0),
                    }
                }
                (AppendPhase::Compare, None) => {
                    return Step::Do(Wish::Read { address: start + filling.written, length: geometry.word });
                }
                (AppendPhase::Compare, Some(read)) => {
                    let read = read.unwrap_or_default();
                    let word = &filling.rest[..geometry.word as usize];
                    if read == word {
                        filling.doubt = Doubt::None;
                        filling.advance(geometry.word);
                        AppendPhase::Program(0)
                    } else if !read.is_empty() && record::is_erased(&read) {
                        filling.doubt = Doubt::None;
                        AppendPhase::Program(0)
                    } else {
                        AppendPhase::RollBack
                    }
                }
                (AppendPhase::RollBack, None) => {
                    let unit = filling.written / geometry.modules.unit * geometry.modules.unit;
                    return Step::Do(Wish::Erase { address: start + unit, length: geometry.modules.unit });
                }
                (AppendPhase::RollBack, Some(erased)) => {
                    *filling = match erased {
                        Ok(_) => filling
                            .back_to(filling.written / geometry.modules.unit * geometry.modules.unit, Doubt::None),
                        Err(_) => filling.back_to(filling.written, Doubt::Unit),
                    };
                    return match erased {
                        Ok(_) => Step::Done(Outcome::Appended { next: filling.next() }),
                        Err(error) => failed(Trouble { error, address: start + filling.written }),
                    };
                }
                (AppendPhase::Program(_), None) => {
                    let whole = filling.rest.len() as u32 / geometry.word * geometry.word;
                    let unit_left = geometry.modules.unit - filling.written % geometry.modules.unit;
                    let length = whole.min(unit_left);
                    if length == 0 || filling.doubt == Doubt::Word {
                        return Step::Done(Outcome::Appended { next: filling.next().min(size) });
                    }
                    self.phase = AppendPhase::Program(length);
                    return Step::Do(Wish::Program {
                        address: start + filling.written,
                        bytes: filling.rest[..length as usize].to_vec(),
                    });
                }
                (AppendPhase::Program(length), Some(Ok(_))) => {
                    filling.advance(length);
                    AppendPhase::Program(0)
                }
                (AppendPhase::Program(_), Some(Err(error))) => {
                    *filling = filling.back_to(filling.written, Doubt::Unit);
                    return failed(Trouble { error, address: start + filling.written });
                }
            };
        }
    }
}

/// Reads a whole module back and hashes it.
pub(super) struct Check {
    digest: Digest,
    hash: Sha256,
    at: u32,
    end: CheckEnd,
}

enum CheckEnd {
    Hashing,
    /// It is what it should be, and the log is to say so.
    Keep(Change),
    /// It is not.
    Drop(Discard),
}

impl Check {
    pub(super) fn new(digest: Digest) -> Check {
        Check { digest, hash: Sha256::new(), at: 0, end: CheckEnd::Hashing }
    }

    fn step(&mut self, log: &mut Log, modules: &mut Modules, mut answer: Answer) -> Step<Outcome> {
        loop {
            self.end = match &mut self.end {
                CheckEnd::Hashing => {
                    let Some(entry) = modules.entry(&self.digest) else { return Step::Done(Outcome::Gone) };
                    let start = modules.address(entry.first_unit);
                    let is_stored = match &entry.state {
                        State::Stored { .. } => true,
                        State::Filling(filling) if filling.next() >= entry.size => false,
                        State::Filling(filling) => return Step::Done(Outcome::Incomplete { next: filling.next() }),
                        State::Reserving | State::Leaving => return Step::Done(Outcome::Gone),
                    };
                    let length = BLOCK.min(entry.size - self.at);
                    match answer.take() {
                        None if length > 0 => return Step::Do(Wish::Read { address: start + self.at, length }),
                        Some(Ok(bytes)) => {
                            self.hash.update(&bytes);
                            self.at += length;
                            CheckEnd::Hashing
                        }
                        None if self.hash.clone().finalize()[..] == self.digest => {
                            if is_stored {
                                self.keep(modules);
                                return Step::Done(Outcome::Verified);
                            }
                            CheckEnd::Keep(Change::new(modules::key(&self.digest), Some(modules::encode(entry, true))))
                        }
                        None | Some(Err(_)) => CheckEnd::Drop(Discard::new(self.digest)),
                    }
                }
                CheckEnd::Keep(change) => match change.step(log, answer) {
                    Step::Do(wish) => return Step::Do(wish),
                    Step::Done(Err(trouble)) => return failed(trouble),
                    Step::Done(Ok(())) => {
                        self.keep(modules);
                        return Step::Done(Outcome::Stored);
                    }
                },
                CheckEnd::Drop(discard) => match discard.step(log, modules, answer) {
                    Step::Done(Outcome::Discarded) => return Step::Done(Outcome::Mismatch),
                    other => return other,
                },
            };
        }
    }

    fn keep(&self, modules: &mut Modules) {
        if let Some(entry) = modules.entry_mut(&self.digest) {
            entry.state = State::Stored { verified: true };
        }
    }
}

/// Takes a module out of the log, then erases its units.
pub(super) struct Discard {
    digest: Digest,
    change: Change,
    unit: Option<u32>,
}

impl Discard {
    pub(super) fn new(digest: Digest) -> Discard {
        Discard { digest, change: Change::new(modules::key(&digest), None), unit: None }
    }

    fn step(&mut self, log: &mut Log, modules: &mut Modules, mut answer: Answer) -> Step<Outcome> {
        let Some(entry) = modules.entry_mut(&self.digest) else { return Step::Done(Outcome::Gone) };
        let (first, size) = (entry.first_unit, entry.size);
        if self.unit.is_none() {
            match self.change.step(log, answer.take()) {
                Step::Do(wish) => return Step::Do(wish),
                Step::Done(Err(trouble)) => return failed(trouble),
                Step::Done(Ok(())) => {
                    entry.state = State::Leaving;
                    self.unit = Some(first);
                }
            }
        }
        let behind = first + modules.units_of(size);
        while let Some(unit) = self.unit.filter(|unit| *unit < behind) {
            match answer.take() {
                None => {
                    return Step::Do(Wish::Erase { address: modules.address(unit), length: log.geometry.modules.unit });
                }
                Some(Ok(_)) => modules.erased(unit),
                // Gone from the log all the same; the unit is left alone until the next boot.
                Some(Err(_)) => modules.failed(unit),
            }
            self.unit = Some(unit + 1);
        }
        modules.forget(&self.digest);
        Step::Done(Outcome::Discarded)
    }
}
