//! The closure on disk.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::Closure;
use crate::closure::File;

/// Makes `folder` hold exactly the closure. Files that are as they should be are left alone, so that Cargo, which goes by
/// the time of a change, compiles only what changed.
pub(super) fn write(closure: &Closure, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let refuse = |message: String| Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    let mut folders = BTreeSet::new();
    for path in closure.files().keys() {
        // The client is believed no more than a repository.
        if path.is_empty() || !is_plain(path) {
            return refuse(format!("`{path}` is no path inside a repository"));
        }
        folders.extend(Path::new(path).ancestors().skip(1).map(|path| folder.join(path)));
    }
    if !is_plain(closure.package()) || !is_plain(closure.root()) {
        return refuse("the package is outside the repository".to_owned());
    }
    let files: BTreeSet<PathBuf> = closure.files().keys().map(|path| folder.join(path)).collect();
    if let Some(both) = files.intersection(&folders).next() {
        return refuse(format!("`{}` is a file and a folder", both.display()));
    }
    remove_others(folder, &folders, &files)?;
    for (path, file) in closure.files() {
        let place = folder.join(path);
        std::fs::create_dir_all(place.parent().expect("it is below the folder"))?;
        put(&place, file)?;
    }
    Ok(())
}

fn is_plain(path: &str) -> bool {
    path.is_empty()
        || (!path.contains(['\\', '\0']) && path.split('/').all(|part| !part.is_empty() && part != "." && part != ".."))
}

fn put(place: &Path, file: &File) -> io::Result<()> {
    let metadata = match std::fs::symlink_metadata(place) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let (bytes, executable) = match file {
        File::Regular { bytes, executable } => (&bytes[..], *executable),
        File::Placeholder => (&[][..], false),
        File::Symlink { target } => {
            if metadata.is_some() {
                if std::fs::read_link(place).is_ok_and(|there| there.as_os_str() == target.as_str()) {
                    return Ok(());
                }
                remove(place)?;
            }
            return symlink(target, place);
        }
    };
    let mode = if executable { 0o755 } else { 0o644 };
    if let Some(metadata) = metadata {
        let same = metadata.is_file()
            && metadata.len() == bytes.len() as u64
            && metadata.permissions().mode() & 0o777 == mode
            && std::fs::read(place)? == bytes;
        if same {
            return Ok(());
        }
        remove(place)?;
    }
    std::fs::write(place, bytes)?;
    std::fs::set_permissions(place, std::fs::Permissions::from_mode(mode))
}

fn remove(place: &Path) -> io::Result<()> {
    if std::fs::symlink_metadata(place)?.is_dir() {
        std::fs::remove_dir_all(place)
    } else {
        std::fs::remove_file(place)
    }
}

/// Removes what is not wanted, and what is something else than is wanted. No link is followed.
fn remove_others(folder: &Path, folders: &BTreeSet<PathBuf>, files: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let place = entry.path();
        let is_folder = entry.file_type()?.is_dir();
        if is_folder && folders.contains(&place) {
            remove_others(&place, folders, files)?;
        } else if is_folder || !files.contains(&place) {
            remove(&place)?;
        }
    }
    Ok(())
}
