//! Where objects are kept: a durable file, a copy in memory, and a bounded history for watches.

mod disk;
mod history;
mod object;
mod store;
mod writer;

pub(crate) use history::{Event, TooOld};
pub(crate) use object::{Draft, Labels, Stored};
pub(crate) use store::{KindId, KindSpec, Page, PageRequest, Store};
pub(crate) use writer::{Change, CommitError, Expect};

/// Why the stored objects cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The file is not what it was when it was last written.
    #[error(
        "{path} is damaged ({why}). Nothing in it was changed. Restore it from a backup, or move it away to start with \
         an empty store: what Git declares is then applied anew, but rollout decisions, emulated identities and anything \
         made by hand with kubectl are lost"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another process has the file open.
    #[error(
        "{path} is open in another process: stop the other `wasmbed up` that uses this folder, or choose another with --state"
    )]
    InUse {
        /// The file.
        path: String,
    },
    /// The file cannot be read or written.
    #[error("{path}: {why}: check that the folder exists, is writable, and that the disk has space")]
    Unusable {
        /// The file.
        path: String,
        /// What the system said.
        why: String,
    },
}
