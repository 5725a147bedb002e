//! Wasmbed's standard library: the pinned toolchain's sources with `sdk/std` put in.

use std::path::Path;

use serde::Deserialize;

use crate::embedded;
use crate::toolchain::RUST;

#[derive(Deserialize)]
struct Changes {
    file: Vec<NewFile>,
    edit: Vec<Edit>,
}

/// A file that is ours.
#[derive(Deserialize)]
struct NewFile {
    path: String,
    is: String,
}

/// A text that is replaced.
#[derive(Deserialize)]
struct Edit {
    path: String,
    find: String,
    put: String,
}

/// Copies the library sources at `from` to `to`, changed.
///
/// # Errors
/// When a text to replace is not there exactly once, or files cannot be copied.
pub(super) fn write(from: &Path, to: &Path) -> anyhow::Result<()> {
    copy(from, to)?;
    let text = embedded::std_file("edits.toml").expect("it is embedded");
    let changes: Changes = toml::from_str(text)?;
    for Edit { path, find, put } in changes.edit {
        let file = to.join(&path);
        let source = std::fs::read_to_string(&file)?;
        let places = source.matches(&find).count();
        anyhow::ensure!(
            places == 1,
            "the library sources are not the ones of Rust {RUST}: {path} has `{find}` {places} times instead of once"
        );
        std::fs::write(&file, source.replacen(&find, &put, 1))?;
    }
    for NewFile { path, is } in changes.file {
        let source = embedded::std_file(&is).ok_or_else(|| anyhow::anyhow!("{is} is not embedded"))?;
        std::fs::write(to.join(path), source)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
