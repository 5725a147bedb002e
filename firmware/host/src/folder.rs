use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use wasmbed_agent::{MAX_PROVISIONING, Provisioning, ProvisioningError};

use crate::error::DeviceError;

/// The folder a device lives in, held by this process.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    /// Unlocked by the system, however the process ends.
    lock: File,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // To close it is not enough: a program that another thread is starting holds a copy of it for a moment, and the lock
        // with it. If this fails, the lock goes when the last copy does.
        let _ = self.lock.unlock();
    }
}

impl Folder {
    /// Takes hold of a device's folder.
    pub(crate) fn open(dir: &Path) -> Result<Folder, DeviceError> {
        if !dir.join("provisioning.cbor").exists() {
            return Err(DeviceError::NotProvisioned { path: dir.join("provisioning.cbor") });
        }
        let path = dir.join("lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(DeviceError::io("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _ = (&lock).take(20).read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
                return Err(DeviceError::InUse { dir: dir.to_owned(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(DeviceError::io("lock", &path)(error)),
        }
        // Only for the words of the other process' error: not having it is no harm.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Folder { dir: dir.to_owned(), lock })
    }

    pub(crate) fn flash(&self) -> PathBuf {
        self.dir.join("flash.bin")
    }

    pub(crate) fn pins(&self) -> PathBuf {
        self.dir.join("pins")
    }

    /// The folder's own name.
    pub(crate) fn name(&self) -> String {
        let full = fs::canonicalize(&self.dir).unwrap_or_else(|_| self.dir.clone());
        full.file_name().map_or_else(|| "device".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// The device's identity.
    pub(crate) fn provisioning(&self) -> Result<Provisioning, DeviceError> {
        let path = self.dir.join("provisioning.cbor");
        let file = File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => DeviceError::NotProvisioned { path: path.clone() },
            _ => DeviceError::io("open", &path)(error),
        })?;
        let metadata = file.metadata().map_err(DeviceError::io("read", &path))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            tracing::warn!("{} holds a device's key and can be read by others: chmod 600 it", path.display());
        }
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(MAX_PROVISIONING + 1));
        // Not more than one byte too many of whatever this file may be.
        file.take(MAX_PROVISIONING as u64 + 1).read_to_end(&mut bytes).map_err(DeviceError::io("read", &path))?;
        let bad = |source: ProvisioningError| DeviceError::Provisioning { path: path.clone(), source };
        Provisioning::decode(&bytes).map_err(bad)
    }
}
