//! Where sources are read from: a Git tree, or a folder.

use std::path::{Path, PathBuf};

/// A tree of sources. Paths are relative to its root, with `/`, without `.` and `..`; the root is the empty string.
pub trait SourceTree {
    /// What stands in the folder `path`, in any order; `None` if there is no such folder.
    ///
    /// # Errors
    /// When the tree cannot be read.
    fn entries(&self, path: &str) -> Result<Option<Vec<Entry>>, TreeError>;

    /// The content of the file `path`; `None` if there is no such regular file. Symbolic links are not followed.
    ///
    /// # Errors
    /// When the tree cannot be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, TreeError>;
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without a path.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What stands under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Whether it may be executed.
        executable: bool,
        /// Size in bytes, where it is known without reading.
        size: Option<u64>,
    },
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink {
        /// Where it points to, as written.
        target: String,
    },
    /// A Git submodule, whose files are not in the repository.
    Submodule,
}

/// The tree could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {source}")]
pub struct TreeError {
    /// What was read, as a person would name it.
    pub path: String,
    /// Why it failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// A folder on disk as a tree. `.git`, and `target` beside a `Cargo.toml`, are not seen, as Git would not have them.
#[derive(Debug, Clone)]
pub struct FolderTree {
    root: PathBuf,
}

impl FolderTree {
    /// The tree at `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn at(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }
}

impl SourceTree for FolderTree {
    fn entries(&self, path: &str) -> Result<Option<Vec<Entry>>, TreeError> {
        let folder = self.at(path);
        // A link to a folder is a link, as it is in Git; only the root itself may be reached through one.
        if !path.is_empty() && std::fs::symlink_metadata(&folder).is_ok_and(|metadata| metadata.is_symlink()) {
            return Ok(None);
        }
        let listing = match std::fs::read_dir(&folder) {
            Ok(listing) => listing,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed(&folder, error)),
        };
        let mut entries = Vec::new();
        for entry in listing {
            let entry = entry.map_err(|error| failed(&folder, error))?;
            let Ok(name) = entry.file_name().into_string() else {
                return Err(failed(&entry.path(), "its name is not UTF-8"));
            };
            let metadata = entry.metadata().map_err(|error| failed(&entry.path(), error))?;
            let kind = if metadata.is_symlink() {
                let target = std::fs::read_link(entry.path()).map_err(|error| failed(&entry.path(), error))?;
                let target = target.into_os_string().into_string();
                EntryKind::Symlink { target: target.map_err(|_| failed(&entry.path(), "its target is not UTF-8"))? }
            } else if metadata.is_dir() {
                if name == ".git" {
                    continue;
                }
                EntryKind::Folder
            } else if metadata.is_file() {
                EntryKind::File { executable: is_executable(&metadata), size: Some(metadata.len()) }
            } else {
                continue;
            };
            entries.push(Entry { name, kind });
        }
        if entries.iter().any(|entry| entry.name == "Cargo.toml") {
            entries.retain(|entry| entry.name != "target");
        }
        Ok(Some(entries))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, TreeError> {
        let file = self.at(path);
        match std::fs::symlink_metadata(&file) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Ok(None),
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed(&file, error)),
        }
        std::fs::read(&file).map(Some).map_err(|error| failed(&file, error))
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

fn failed(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TreeError {
    TreeError { path: path.display().to_string(), source: source.into() }
}
