//! The state folder of `wasmbed up`: where everything of one machine lies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::arguments::StateArguments;

/// The folder, mode 0700.
#[derive(Clone, Debug)]
pub(crate) struct StateFolder(PathBuf);

impl StateFolder {
    /// The folder that the arguments and the environment name; it need not exist.
    ///
    /// # Errors
    /// When neither names one and there is no home folder.
    pub(crate) fn named_by(arguments: &StateArguments) -> Result<Self> {
        let folder = match &arguments.state {
            Some(folder) => folder.clone(),
            None => default_folder().context("no state folder: give --state DIR, or set WASMBED_STATE or HOME")?,
        };
        Ok(Self(std::path::absolute(folder)?))
    }

    /// Makes the folder if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create(&self) -> Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        for folder in [self.path(), &self.path().join("keys"), &self.path().join("run"), &self.path().join("logs")] {
            builder.create(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        // A Unix socket's path has at most 108 bytes, its end included (unix(7)).
        let longest = self.builder_socket();
        if longest.as_os_str().len() >= 108 {
            bail!(
                "the state folder {} is too deep for the sockets in it (107 bytes): give a shorter one with --state",
                self.path().display()
            );
        }
        Ok(())
    }

    /// Takes the folder for this process, until the lock is dropped.
    ///
    /// # Errors
    /// When another process has it.
    pub(crate) fn lock(&self) -> Result<File> {
        let path = self.path().join("up.lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = lock.read_to_string(&mut owner);
                bail!(
                    "`wasmbed up` is running on {} already (process {}): end that one first, or give another --state",
                    self.path().display(),
                    owner.trim()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(lock)
    }

    /// The folder itself.
    #[must_use]
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Ed25519 seed files.
    #[must_use]
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.0.join("keys").join(format!("{name}.key"))
    }

    /// Ed25519 seed files of gateways that run elsewhere.
    #[must_use]
    pub(crate) fn gateway_keys(&self) -> PathBuf {
        self.0.join("keys/gateways")
    }

    /// The public keys that count no more.
    #[must_use]
    pub(crate) fn revoked_keys(&self) -> PathBuf {
        self.0.join("keys/revoked")
    }

    /// The root-signed KeySet.
    #[must_use]
    pub(crate) fn key_set(&self) -> PathBuf {
        self.0.join("keys/keyset.cose")
    }

    /// Credentials for the embedded API.
    #[must_use]
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.0.join("kubeconfig")
    }

    /// The embedded API's data.
    #[must_use]
    pub(crate) fn api_data(&self) -> PathBuf {
        self.0.join("api")
    }

    /// The signer's socket.
    #[must_use]
    pub(crate) fn signer_socket(&self) -> PathBuf {
        self.0.join("run/signer.sock")
    }

    /// The builder's socket.
    #[must_use]
    pub(crate) fn builder_socket(&self) -> PathBuf {
        self.0.join("run/builder.sock")
    }

    /// The live events' socket.
    #[must_use]
    pub(crate) fn live_socket(&self) -> PathBuf {
        self.0.join("run/live.sock")
    }

    /// Caches: what can be fetched or built again.
    #[must_use]
    pub(crate) fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    /// Built modules, by their digests.
    #[must_use]
    pub(crate) fn modules(&self) -> PathBuf {
        self.0.join("cache/modules")
    }

    /// The builder's own folder: compiled libraries, build folders.
    #[must_use]
    pub(crate) fn builder(&self) -> PathBuf {
        self.0.join("builder")
    }

    /// The bare repository of the example fleet.
    #[must_use]
    pub(crate) fn example_repository(&self) -> PathBuf {
        self.0.join("fleet.git")
    }

    /// The working copy of the example fleet.
    #[must_use]
    pub(crate) fn example_copy(&self) -> PathBuf {
        self.0.join("fleet")
    }

    /// The output of the process `name`.
    #[must_use]
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.0.join("logs").join(format!("{name}.log"))
    }
}

fn default_folder() -> Option<PathBuf> {
    let of = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    of("XDG_STATE_HOME").or_else(|| of("HOME").map(|home| home.join(".local/state"))).map(|base| base.join("wasmbed"))
}
