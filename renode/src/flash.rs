//! The flash of an emulated board, as a file: made once, kept over every restart.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rand::TryRngCore;
use rand::rngs::OsRng;
use wasmbed_agent::region::{self, RegionError, SEED_RECORD, Seed, Unit};
use wasmbed_agent::{Provisioning, ProvisioningError};
use zeroize::{Zeroize, Zeroizing};

/// Where records lie before the store, and how long the file is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    /// Bytes of an erase unit.
    pub unit: u32,
    /// Bytes of the region: records and store. They are erased flash (0xFF) when the file is made.
    pub region: u64,
    /// Bytes of the file; what is behind the region is a hole.
    pub file: u64,
}

/// The MPS2 boards: the region lies at the start of their PSRAM, which the file is.
pub const MPS2: Layout = Layout { unit: 4_096, region: 0x10_3000, file: 16 << 20 };

/// Why a flash file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FlashFileError {
    /// The system refused.
    #[error("the flash file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// It is not what this program makes.
    #[error(
        "the flash file {} is damaged: {problem}. Restore it from a backup; or remove it, and the device starts with an \
         empty one and downloads its applications again", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Another process emulates this device.
    #[error("the flash file {} is in use: another process emulates this device; end that one first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// What is to be provisioned does not fit a device.
    #[error("a device cannot be provisioned: {0}")]
    Provisioning(#[from] ProvisioningError),
    /// The system has no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Entropy(String),
}

/// A flash file, which no other process can open while this is there.
#[derive(Debug)]
pub struct FlashFile {
    file: File,
    path: PathBuf,
    layout: Layout,
}

impl FlashFile {
    /// Opens the file, and makes it if it is not there: mode 0600, as it holds the device's private key.
    ///
    /// # Errors
    /// It is damaged, in use, or the system refuses. A damaged file is left as it is.
    pub fn open(path: &Path, layout: Layout) -> Result<Self, FlashFileError> {
        let failed = |source| FlashFileError::Io { path: path.to_owned(), source };
        let open = || OpenOptions::new().read(true).write(true).open(path);
        let file = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make(path, layout).map_err(failed)?;
                open().map_err(failed)?
            }
            opened => opened.map_err(failed)?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FlashFileError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let damaged = |problem| Err(FlashFileError::Damaged { path: path.to_owned(), problem });
        let length = file.metadata().map_err(failed)?.len();
        if length != layout.file {
            return damaged(format!("it has {length} bytes instead of {}", layout.file));
        }
        let flash = Self { file, path: path.to_owned(), layout };
        match region::provisioning(&flash.unit(Unit::Provisioning)?) {
            Ok(_) | Err(RegionError::Missing) => Ok(flash),
            Err(error) => {
                damaged(format!("what stands where the device's identity belongs is no such record ({error})"))
            }
        }
    }

    /// Writes the provisioning if another one, or none, is there; says whether it did.
    ///
    /// # Errors
    /// It does not fit, or the system refuses.
    pub fn provision(&mut self, provisioning: &Provisioning) -> Result<bool, FlashFileError> {
        let record = Zeroizing::new(region::encode_provisioning(provisioning)?);
        let mut unit = Zeroizing::new(vec![0xFF; self.layout.unit as usize]);
        unit[..record.len()].copy_from_slice(&record);
        if self.unit(Unit::Provisioning)? == unit {
            return Ok(false);
        }
        // The header last: a write that is cut short leaves no record, instead of a damaged one.
        let (header, body) = unit.split_at(region::HEADER);
        self.write(Unit::Provisioning, 0, &[0xFF; region::HEADER])?;
        self.write(Unit::Provisioning, region::HEADER, body)?;
        self.write(Unit::Provisioning, 0, header)?;
        Ok(true)
    }

    /// Writes a fresh seed of the device's randomness, whatever was there: no start may ever see one twice.
    ///
    /// # Errors
    /// The system has no random bytes, or refuses the write.
    pub fn reseed(&mut self) -> Result<(), FlashFileError> {
        let mut unit = vec![0xFF; self.layout.unit as usize];
        unit[..SEED_RECORD].copy_from_slice(&fresh_seed()?);
        self.write(Unit::Seed, 0, &unit)?;
        unit.zeroize();
        Ok(())
    }

    fn unit(&self, unit: Unit) -> Result<Zeroizing<Vec<u8>>, FlashFileError> {
        let mut bytes = Zeroizing::new(vec![0; self.layout.unit as usize]);
        let at = unit.address(self.layout.unit).into();
        self.file.read_exact_at(&mut bytes, at).map_err(|source| self.failed(source))?;
        Ok(bytes)
    }

    fn write(&self, unit: Unit, offset: usize, bytes: &[u8]) -> Result<(), FlashFileError> {
        let at = u64::from(unit.address(self.layout.unit)) + offset as u64;
        self.file.write_all_at(bytes, at).and_then(|()| self.file.sync_data()).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> FlashFileError {
        FlashFileError::Io { path: self.path.clone(), source }
    }
}

/// The first two units of a region, for a board into which they are loaded: the provisioning and a fresh seed. The rest of both
/// is erased. Of each unit's bytes this holds all, so that it is two units long.
///
/// # Errors
/// The provisioning does not fit, or the system has no random bytes.
pub fn records(provisioning: &Provisioning, unit: u32) -> Result<Zeroizing<Vec<u8>>, FlashFileError> {
    let mut bytes = Zeroizing::new(vec![0xFF; 2 * unit as usize]);
    let record = Zeroizing::new(region::encode_provisioning(provisioning)?);
    if record.len() > unit as usize {
        return Err(FlashFileError::Provisioning(ProvisioningError::Unusable {
            field: "length",
            problem: "it is longer than an erase unit of this board",
        }));
    }
    bytes[..record.len()].copy_from_slice(&record);
    bytes[unit as usize..][..SEED_RECORD].copy_from_slice(&fresh_seed()?);
    Ok(bytes)
}

fn fresh_seed() -> Result<[u8; SEED_RECORD], FlashFileError> {
    let mut bytes = Zeroizing::new([0; 32]);
    OsRng.try_fill_bytes(bytes.as_mut()).map_err(|error| FlashFileError::Entropy(error.to_string()))?;
    Ok(Seed::new(*bytes).encode())
}

/// Makes the file whole or not at all.
fn make(path: &Path, layout: Layout) -> io::Result<()> {
    let new = path.with_extension("new");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    let erased = vec![0xFF; layout.unit as usize];
    for at in (0..layout.region).step_by(erased.len()) {
        file.write_all_at(&erased, at)?;
    }
    file.set_len(layout.file)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn provisioning(gateway: &str) -> Provisioning {
        Provisioning {
            seed: [1; 32],
            root: [2; 32],
            fleet: "fleet".to_owned(),
            gateways: vec![gateway.to_owned()],
            pairing: None,
            address: None,
        }
    }

    fn unit(path: &Path, unit: Unit) -> Vec<u8> {
        let bytes = std::fs::read(path).expect("it is there");
        bytes[unit.address(4_096) as usize..][..4_096].to_vec()
    }

    #[test]
    fn a_new_file_is_erased_flash_with_a_hole_behind_it_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("flash.bin");
        FlashFile::open(&path, MPS2).expect("it is made");
        let metadata = std::fs::metadata(&path).expect("it is there");
        assert_eq!((metadata.len(), metadata.mode() & 0o777), (16 << 20, 0o600));
        assert!(metadata.blocks() * 512 < 2 << 20, "the hole takes no room");
        let bytes = std::fs::read(&path).expect("it is there");
        assert!(bytes[..0x10_3000].iter().all(|&byte| byte == 0xFF));
        assert!(bytes[0x10_3000..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn the_provisioning_is_written_when_it_changed_and_the_store_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("flash.bin");
        let mut flash = FlashFile::open(&path, MPS2).expect("it is made");
        flash.file.write_all_at(b"store", region::store_address(4_096).into()).expect("the disk works");
        assert!(flash.provision(&provisioning("10.0.2.100:4433")).expect("it fits"));
        assert!(!flash.provision(&provisioning("10.0.2.100:4433")).expect("it fits"), "it is there already");
        drop(flash);
        let mut flash = FlashFile::open(&path, MPS2).expect("it is whole");
        assert!(!flash.provision(&provisioning("10.0.2.100:4433")).expect("it fits"), "it is there still");
        assert!(flash.provision(&provisioning("g:1")).expect("it fits"));
        let found = region::provisioning(&unit(&path, Unit::Provisioning)).expect("it is a record");
        assert_eq!(found.gateways, ["g:1"]);
        let bytes = std::fs::read(&path).expect("it is there");
        assert_eq!(&bytes[region::store_address(4_096) as usize..][..5], b"store");
    }

    #[test]
    fn every_start_has_a_seed_of_its_own_whatever_the_last_one_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("flash.bin");
        let mut flash = FlashFile::open(&path, MPS2).expect("it is made");
        let mut seen = std::collections::BTreeSet::new();
        for left in [&b"WBSE and half a seed"[..], &[0; 4_096], &[0xFF; 40]] {
            flash.file.write_all_at(left, 4_096).expect("the disk works");
            flash.reseed().expect("there is entropy");
            let seed = Seed::decode(&unit(&path, Unit::Seed)).expect("it is a record");
            assert!(seen.insert(*seed.as_bytes()));
            assert!(unit(&path, Unit::Seed)[SEED_RECORD..].iter().all(|&byte| byte == 0xFF), "the rest is erased");
        }
    }

    #[test]
    fn a_file_that_is_too_short_is_reported_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("flash.bin");
        std::fs::write(&path, "short").expect("the disk works");
        let error = FlashFile::open(&path, MPS2).expect_err("it is short").to_string();
        assert!(error.contains("is damaged: it has 5 bytes instead of 16777216"), "{error}");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"short");
    }

    #[test]
    fn an_identity_that_is_damaged_is_reported_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("flash.bin");
        let mut flash = FlashFile::open(&path, MPS2).expect("it is made");
        flash.provision(&provisioning("10.0.2.100:4433")).expect("it fits");
        drop(flash);
        let whole = std::fs::read(&path).expect("it is there");
        // Each byte of the record's header, and some of its body.
        for at in (0..region::HEADER).chain((12..60).step_by(7)) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).expect("the disk works");
            let error = FlashFile::open(&path, MPS2).expect_err("it is damaged");
            assert!(matches!(error, FlashFileError::Damaged { .. }), "byte {at}: {error}");
            assert!(std::fs::read(&path).expect("it is there") == bytes, "byte {at}");
        }
    }

    #[test]
    fn a_provisioning_that_was_cut_short_leaves_none_and_is_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("flash.bin");
        let mut flash = FlashFile::open(&path, MPS2).expect("it is made");
        flash.provision(&provisioning("10.0.2.100:4433")).expect("it fits");
        // The header goes first and comes last.
        flash.write(Unit::Provisioning, 0, &[0xFF; region::HEADER]).expect("the disk works");
        drop(flash);
        let mut flash = FlashFile::open(&path, MPS2).expect("it holds no record");
        assert!(flash.provision(&provisioning("10.0.2.100:4433")).expect("it fits"));
    }

    #[test]
    fn two_cannot_play_one_device() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("flash.bin");
        let first = FlashFile::open(&path, MPS2).expect("it is made");
        assert!(matches!(FlashFile::open(&path, MPS2), Err(FlashFileError::InUse { .. })));
        drop(first);
        FlashFile::open(&path, MPS2).expect("nobody has it");
    }

    #[test]
    fn records_that_are_loaded_are_two_units_and_never_the_same_twice() {
        let first = records(&provisioning("g:1"), 2_048).expect("it fits");
        assert_eq!(first.len(), 4_096);
        assert_eq!(region::provisioning(&first[..2_048]).expect("it is a record").gateways, ["g:1"]);
        let seed = Seed::decode(&first[2_048..]).expect("it is a record");
        let second = records(&provisioning("g:1"), 2_048).expect("it fits");
        assert!(Seed::decode(&second[2_048..]).expect("it is a record") != seed);
    }
}
