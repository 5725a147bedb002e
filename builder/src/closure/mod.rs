//! The source closure of an application: exactly the files it is built from.
//!
//! Pure over a [`SourceTree`]; the same tree gives the same [`Closure`], byte for byte, and so the same digest.

mod dependency;
mod discovery;
mod error;
mod glob;
mod lockfile;
mod manifest;
mod path;
mod settings;
mod tree;
mod workspace;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use error::{ClosureError, Refusal};
pub use tree::{Entry, EntryKind, FolderTree, SourceTree, TreeError};

use crate::Digest;

/// The most files a closure may have.
pub const MAX_FILES: usize = 10_000;
/// The most bytes a closure may have, all files together.
pub const MAX_BYTES: u64 = 32 << 20;

/// Exactly the files an application is built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closure {
    /// The package's folder, from the repository's root; empty for the root itself.
    package: String,
    /// The folder of the workspace it belongs to, where `Cargo.lock` stands; the package's own if there is none.
    root: String,
    /// The crate to build: the name of the package's binary target.
    binary: String,
    /// Whether crates from a registry are needed.
    registry: bool,
    /// Linear memory the package asks for.
    memory: Memory,
    /// By path from the repository's root.
    files: BTreeMap<String, File>,
}

/// What a package says of its memory in `[package.metadata.wasmbed]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Bytes of stack.
    pub stack: u32,
    /// Bytes that `String`, `Vec` and `Box` share; costs nothing while none of them is used.
    pub heap: u32,
}

/// One file of a closure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum File {
    /// A regular file.
    Regular {
        /// Its content.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        /// Whether it may be executed.
        executable: bool,
    },
    /// A symbolic link that stays inside the closure.
    Symlink {
        /// Where it points to, as written.
        target: String,
    },
    /// A target of a workspace member that is not built: Cargo wants to see the file, but nothing reads it.
    Placeholder,
}

impl Closure {
    /// The closure of the package at `path` in `tree`.
    ///
    /// # Errors
    /// [`ClosureError::Refused`] names every file that stands against it and what to do.
    pub fn of(tree: &impl SourceTree, path: &str) -> Result<Self, ClosureError> {
        discovery::discover(tree, path)
    }

    /// The package's folder, from the repository's root; empty for the root itself.
    #[must_use]
    pub fn package(&self) -> &str {
        &self.package
    }

    /// The folder of the package's workspace, or its own: where `Cargo.lock` stands.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Name of the binary target that is built.
    #[must_use]
    pub fn binary(&self) -> &str {
        &self.binary
    }

    /// Whether crates from a registry have to be fetched.
    #[must_use]
    pub const fn needs_registry(&self) -> bool {
        self.registry
    }

    /// Stack and heap the package asks for.
    #[must_use]
    pub const fn memory(&self) -> Memory {
        self.memory
    }

    /// The files by their paths from the repository's root.
    #[must_use]
    pub const fn files(&self) -> &BTreeMap<String, File> {
        &self.files
    }

    /// What names this closure: the package and every file's path, mode and bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        let mut put = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        put(b"wasmbed closure 1");
        put(self.package.as_bytes());
        put(self.root.as_bytes());
        put(self.binary.as_bytes());
        put(&self.memory.stack.to_be_bytes());
        put(&self.memory.heap.to_be_bytes());
        for (path, file) in &self.files {
            put(path.as_bytes());
            match file {
                File::Regular { bytes, executable: false } => {
                    put(b"f");
                    put(bytes);
                }
                File::Regular { bytes, executable: true } => {
                    put(b"x");
                    put(bytes);
                }
                File::Symlink { target } => {
                    put(b"l");
                    put(target.as_bytes());
                }
                File::Placeholder => put(b"p"),
            }
        }
        let digest: [u8; 32] = hash.finalize().into();
        Digest::from(digest)
    }
}
