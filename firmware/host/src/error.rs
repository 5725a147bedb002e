use std::io;
use std::path::PathBuf;

use wasmbed_agent::ProvisioningError;
use wasmbed_agent::store::GeometryError;

/// Why a device cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Another process runs this device.
    #[error(
        "the device in {dir} is running already (process {pid}): two processes cannot share its flash; \
         stop the other one, or use another folder"
    )]
    InUse {
        /// The device's folder.
        dir: PathBuf,
        /// The other process, as far as it said so.
        pid: String,
    },
    /// The device was never given an identity.
    #[error("{path} does not exist: make a device's identity with `wasmbed provision`, or name its folder")]
    NotProvisioned {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The provisioning cannot be used.
    #[error("{path}: {source}")]
    Provisioning {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ProvisioningError,
    },
    /// The flash file is not one of this program's.
    #[error(
        "{path} has {found} bytes, a flash file has {expected}: it was made by another version or damaged; \
         move it away and the device fetches everything again"
    )]
    FlashSize {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The size it should have.
        expected: u64,
    },
    /// No store fits the geometry.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The system said no.
    #[error("cannot {what} {path}: {source}{hint}", hint = hint(source))]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The event loop cannot be set up.
    #[error("cannot set up the event loop: {0}")]
    EventLoop(#[source] io::Error),
}

impl DeviceError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> DeviceError {
        let path = path.into();
        move |source| DeviceError::Io { what, path, source }
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => ": check who owns it and its mode",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ": free some space there"
        }
        io::ErrorKind::ReadOnlyFilesystem => ": the file system is mounted read-only",
        _ => "",
    }
}
