//! The declarations of a fleet's folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wasmbed_api::declarations::is_declaration_file;

/// Reads every declaration file below `folder`, in the order of their paths, which are relative to it. Hidden folders,
/// `target` and symbolic links are passed over, as they are in a repository's tree.
///
/// # Errors
/// When the folder or a file cannot be read.
pub(crate) fn read(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    if !folder.is_dir() {
        bail!("{} is no folder: name the one that holds the fleet's declarations", folder.display());
    }
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(relative) = folders.pop() {
        let path = folder.join(&relative);
        let entries = std::fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
            let name = entry.file_name();
            let relative = relative.join(&name);
            let kind = entry.file_type()?;
            let hidden = name.as_encoded_bytes().starts_with(b".");
            if kind.is_dir() && !hidden && name != "target" {
                folders.push(relative);
            } else if kind.is_file() && relative.to_str().is_some_and(is_declaration_file) {
                let bytes =
                    std::fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
                files.push((relative.display().to_string(), bytes));
            }
        }
    }
    files.sort();
    Ok(files)
}
