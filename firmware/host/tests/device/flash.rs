use std::path::Path;

use sha2::{Digest as _, Sha256};
use wasmbed_agent::store::{Digest, Event, FlashError, Geometry, Key, Module, Outcome, Report, Store, StoreError};
use wasmbed_device::{FlashFile, geometry};

use crate::child::{Process, Role};

/// A store over a flash file.
struct Disk {
    flash: FlashFile,
    store: Store,
    report: Report,
}

impl Disk {
    fn open(dir: &Path, geometry: Geometry) -> Disk {
        let flash = FlashFile::open(&dir.join("flash.bin"), geometry).unwrap();
        let mut disk = Disk { flash, store: Store::new(geometry).unwrap(), report: Report::default() };
        let Some(Event::Mounted(report)) = disk.drive() else { panic!("it mounts") };
        disk.report = report;
        disk
    }

    fn drive(&mut self) -> Option<Event> {
        while let Some(action) = self.store.next_action() {
            let result = self.flash.perform(&action);
            self.store.complete(action.id(), result);
        }
        self.store.next_event()
    }

    fn outcome(&mut self) -> Outcome {
        let Some(Event::Done { outcome, .. }) = self.drive() else { panic!("it is done") };
        outcome
    }

    /// The number last counted.
    fn count(&self) -> u64 {
        self.store.value(&Key::Panic).map_or(0, |value| u64::from_le_bytes(value[..8].try_into().unwrap()))
    }

    fn fill(&mut self, number: u64) -> Result<Outcome, StoreError> {
        let bytes = content(number);
        let digest = digest(number);
        self.store.reserve(digest, bytes.len() as u32)?;
        match self.outcome() {
            Outcome::Reserved => self.go_on(number),
            other => Ok(other),
        }
    }

    fn go_on(&mut self, number: u64) -> Result<Outcome, StoreError> {
        let (bytes, digest) = (content(number), digest(number));
        while let Some(Module::Filling { size, next }) = self.store.module(&digest).filter(|module| !is_full(module)) {
            let end = (next + 700).min(size);
            self.store.append(digest, next, &bytes[next as usize..end as usize])?;
            assert!(matches!(self.outcome(), Outcome::Appended { .. }));
        }
        self.store.finish(digest)?;
        Ok(self.outcome())
    }
}

fn is_full(module: &Module) -> bool {
    matches!(module, Module::Filling { size, next } if size == next)
}

/// The bytes of the module of that number: some thousands.
fn content(number: u64) -> Vec<u8> {
    let seed = Sha256::digest(number.to_le_bytes());
    seed.iter().copied().cycle().take(3000 + number as usize % 4000).collect()
}

fn digest(number: u64) -> Digest {
    Sha256::digest(content(number)).into()
}

/// A flash whose log is full soon, so that halves change often.
fn small() -> Geometry {
    Geometry::uniform(8, 4096, 2, 16)
}

/// Counts in the flash file; each number is told when it is durable, and every tenth comes with a module.
pub(crate) fn write_for_ever(dir: &Path, tell: impl Fn(&str)) {
    let mut disk = Disk::open(dir, small());
    tell("\nbegins");
    for number in disk.count() + 1.. {
        let value = [number.to_le_bytes().as_slice(), &[number as u8; 300]].concat();
        disk.store.put(Key::Panic, value).unwrap();
        match disk.outcome() {
            Outcome::Written => tell(&format!("durable {number}")),
            other => return tell(&format!("{other:?}")),
        }
        if number % 10 == 0 {
            for (digest, _) in disk.store.modules().collect::<Vec<_>>() {
                disk.store.discard(digest).unwrap();
                assert_eq!(disk.outcome(), Outcome::Discarded);
            }
            match disk.fill(number) {
                Ok(Outcome::Stored) => tell(&format!("stored {number}")),
                other => return tell(&format!("{other:?}")),
            }
        }
    }
}

#[test]
fn the_flash_file_survives_kill_9_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 0..25_u64 {
        let mut process = Process::start(Role::Writer, dir.path());
        process.line_with("begins");
        // A varying number of lines, so that it is killed in all kinds of moments.
        let mut told: Vec<String> = (0..round * 7 % 31).map_while(|_| process.line()).collect();
        told.extend(process.kill());
        let durable = told.iter().filter_map(|line| line.strip_prefix("durable ")?.parse().ok()).max().unwrap_or(last);
        let mut disk = Disk::open(dir.path(), small());
        assert_eq!((disk.report.formatted.filter(|_| last > 0), disk.report.lost), (None, 0), "round {round}");
        assert!(disk.count() == durable || disk.count() == durable + 1, "told {durable}, found {}", disk.count());
        last = disk.count();
        if let Some(value) = disk.store.value(&Key::Panic) {
            assert_eq!(value[8..], [last as u8; 300]);
        }
        // A module that was begun can be finished; one that was stored is what it was.
        for (found, module) in disk.store.modules().collect::<Vec<_>>() {
            // Killed before it was discarded, the one before may still be there.
            let newest = (last / 10) * 10;
            let number =
                [newest, newest.saturating_sub(10)].into_iter().find(|number| digest(*number) == found).unwrap();
            let outcome = match module {
                Module::Filling { .. } => disk.go_on(number).unwrap(),
                Module::Stored { .. } => {
                    disk.store.verify(found).unwrap();
                    disk.outcome()
                }
            };
            assert!(matches!(outcome, Outcome::Stored | Outcome::Verified), "round {round}: {outcome:?}");
        }
    }
    assert!(last > 100, "it got somewhere: {last}");
}

#[test]
fn a_full_disk_is_told_and_what_was_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(Role::Writer, dir.path());
    process.kill();
    drop(Disk::open(dir.path(), small()));
    // Only the log lies below the limit: a module does not fit, records do.
    let process = Process::start_limited(Role::Writer, dir.path(), u64::from(small().log.end()));
    let (told, _) = process.wait();
    let last = told.iter().filter_map(|line| line.strip_prefix("durable ")?.parse().ok()).max().unwrap();
    assert!(told.iter().any(|line| line.contains(&format!("{:?}", FlashError::NoSpace))), "{told:?}");
    let mut disk = Disk::open(dir.path(), small());
    assert_eq!((disk.count(), disk.report.lost), (last, 0));
    // With room again it goes on.
    assert_eq!(disk.fill(last), Ok(Outcome::Stored));
}

#[test]
fn the_host_geometry_is_sound_and_costs_no_disk_before_it_is_used() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path(), geometry());
    assert_eq!(disk.report.formatted, Some(wasmbed_agent::store::Formatted::Blank));
    let metadata = std::fs::metadata(dir.path().join("flash.bin")).unwrap();
    assert_eq!(metadata.len(), 16 * 1024 * 1024);
    assert!(metadata.blocks() * 512 <= 512 * 1024, "{} bytes on disk", metadata.blocks() * 512);
}
