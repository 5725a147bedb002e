//! Where the programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::StartError;

/// The environment variable by which a person leaves out what needs a real API server.
pub const LEFT_OUT: &str = "WASMBED_WITHOUT_KUBERNETES";

/// The programs that `make kubernetes` builds.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Finds them.
    ///
    /// # Errors
    /// When one is not built, or [`LEFT_OUT`] is set.
    pub fn find() -> Result<Self, StartError> {
        if std::env::var_os(LEFT_OUT).is_some_and(|value| !value.is_empty()) {
            return Err(StartError::LeftOut);
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/kubernetes/build.sh");
        let failed = |why: String| StartError::NoFolder { script: script.display().to_string(), why };
        let output = Command::new(&script).arg("--folder").output().map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let found = Self { folder: PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()) };
        for program in ["etcd", "kube-apiserver", "kube-controller-manager"] {
            if !found.path(program).exists() {
                return Err(StartError::NotBuilt { program, folder: found.folder.display().to_string() });
            }
        }
        Ok(found)
    }

    /// A program of the folder: `etcd`, `kube-apiserver`, `kube-controller-manager`.
    #[must_use]
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// `kubectl` or `helm`: that of the folder, or else the one on the machine.
    #[must_use]
    pub fn tool(&self, program: &str) -> PathBuf {
        let built = self.path(program);
        if built.exists() { built } else { program.into() }
    }
}
