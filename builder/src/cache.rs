//! What was built, by content. Only the parent (the holder of a [`crate::Client`]) writes it.
//!
//! ```text
//! <cache>/modules/<sha256>      a module's bytes
//! <cache>/closures/<build key>  the digest of the module that was built from a closure
//! ```

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::module::{Limits, Module};
use crate::{BuildRequest, Digest};

/// A content-addressed cache of modules.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

/// The cache could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the build cache: cannot {action} {}: {source}", path.display())]
pub struct CacheError {
    action: &'static str,
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl Cache {
    /// Opens the cache in `folder`, making the folder if need be.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, CacheError> {
        let folder = folder.into();
        for part in ["modules", "closures"] {
            let path = folder.join(part);
            std::fs::create_dir_all(&path).map_err(|source| CacheError { action: "make", path, source })?;
        }
        Ok(Self { folder })
    }

    /// The module that was built from this request's closure, if there is one. A damaged entry is reported, removed
    /// and built again.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn built(&self, request: &BuildRequest) -> Result<Option<Module>, CacheError> {
        let entry = self.entry(request);
        let Some(text) = read(&entry)? else {
            return Ok(None);
        };
        let digest = String::from_utf8(text).ok().and_then(|text| text.trim_end().parse::<Digest>().ok());
        let Some(digest) = digest else {
            discard(&entry, "it holds no digest")?;
            return Ok(None);
        };
        self.module(digest, &request.limits)
    }

    /// The module named `digest`, if it is here, whole, and within `limits`.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn module(&self, digest: Digest, limits: &Limits) -> Result<Option<Module>, CacheError> {
        let path = self.folder.join("modules").join(digest.to_string());
        let Some(bytes) = read(&path)? else {
            return Ok(None);
        };
        if Digest::of(&bytes) != digest {
            discard(&path, "its bytes are not the ones of its name")?;
            return Ok(None);
        }
        Ok(Module::check(bytes, limits).ok())
    }

    /// Keeps a module, and that it was built from this request's closure.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn keep(&self, request: &BuildRequest, module: &Module) -> Result<(), CacheError> {
        self.keep_module(module)?;
        // A proposal's build is not believed for the branch: its target folder was not the branch's.
        write(&self.entry(request), format!("{}\n", module.digest()).as_bytes())
    }

    /// Keeps a module that was given as bytes.
    ///
    /// # Errors
    /// When the cache cannot be written.
    pub fn keep_module(&self, module: &Module) -> Result<(), CacheError> {
        write(&self.folder.join("modules").join(module.digest().to_string()), module.bytes())
    }

    fn entry(&self, request: &BuildRequest) -> PathBuf {
        self.folder.join("closures").join(request.key().to_string())
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, CacheError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CacheError { action: "read", path: path.to_owned(), source }),
    }
}

fn discard(path: &Path, why: &str) -> Result<(), CacheError> {
    tracing::warn!(path = %path.display(), "a damaged entry of the build cache is removed: {why}");
    std::fs::remove_file(path).map_err(|source| CacheError { action: "remove", path: path.to_owned(), source })
}

/// Writes a file so that a reader sees all of it or none.
fn write(path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
    let failed = |source| CacheError { action: "write", path: path.to_owned(), source };
    let folder = path.parent().expect("entries stand in folders of the cache");
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_data().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
