use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use wasmbed_agent::ModuleLocation;
use wasmbed_agent::store::nor::{Medium, Nor, NorError};
use wasmbed_agent::store::{Action, FlashError, Geometry};

use crate::error::DeviceError;

/// The flash of a host device: 16 MiB in erase units of 4 KiB, the first 128 KiB of them for the log.
#[must_use]
pub fn geometry() -> Geometry {
    Geometry::uniform(8, 4096, 32, 4064)
}

/// The flash of a host device in a file: NOR flash with its rules, over a file whose every bit is the complement of the
/// flash's, so that erased flash is zeros, and flash never used takes no room on the disk.
pub struct FlashFile {
    nor: Nor<Complement>,
}

impl FlashFile {
    /// Opens the file, or makes one that is all erased. The caller sees to it that only one process does.
    ///
    /// # Errors
    /// The file cannot be made or opened, or has another size.
    pub fn open(path: &Path, geometry: Geometry) -> Result<FlashFile, DeviceError> {
        let expected = u64::from(geometry.end());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(DeviceError::io("open", path))?;
        let found = file.metadata().map_err(DeviceError::io("read", path))?.len();
        if found == 0 {
            // One step: a file is either empty or whole, so a process killed here leaves nothing odd behind.
            file.set_len(expected).map_err(DeviceError::io("make", path))?;
        } else if found != expected {
            return Err(DeviceError::FlashSize { path: path.to_owned(), found, expected });
        }
        Ok(FlashFile { nor: Nor::new(Complement(file), geometry) })
    }

    /// Carries out an action of the store.
    ///
    /// # Errors
    /// The file system failed, or has no room.
    pub fn perform(&mut self, action: &Action) -> Result<Vec<u8>, FlashError> {
        self.nor.perform(action).map_err(|error| match error {
            NorError::Medium(error) => {
                tracing::error!("the flash file failed: {error}");
                match (error.kind(), action) {
                    (ErrorKind::StorageFull | ErrorKind::FileTooLarge | ErrorKind::QuotaExceeded, _) => {
                        FlashError::NoSpace
                    }
                    (_, Action::Read { .. }) => FlashError::Unreadable,
                    (_, Action::Program { .. } | Action::Erase { .. }) => FlashError::WriteFailed,
                }
            }
            rule => {
                tracing::error!("the store broke a rule of flash: {rule}");
                FlashError::WriteFailed
            }
        })
    }

    /// Reads a module where it lies.
    ///
    /// # Errors
    /// The file system failed.
    pub fn module(&mut self, location: ModuleLocation) -> io::Result<Vec<u8>> {
        self.nor.read(location.offset, location.size).map_err(|error| match error {
            NorError::Medium(error) => error,
            rule => io::Error::other(rule.to_string()),
        })
    }
}

/// A file that holds the complement of the flash's bits.
struct Complement(File);

impl Medium for Complement {
    type Error = io::Error;

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(bytes, u64::from(address))?;
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> io::Result<()> {
        let complement: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        self.0.write_all_at(&complement, u64::from(address))
    }
}
