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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A closure as a client may send one, which need not have come from [`Closure::of`].
    fn closure(files: serde_json::Value) -> Closure {
        let memory = json!({ "stack": 4096, "heap": 16384 });
        let closure = json!({
            "package": "a", "root": "a", "binary": "a", "registry": false, "memory": memory, "files": files
        });
        serde_json::from_value(closure).expect("it is a closure")
    }

    fn text(text: &str) -> serde_json::Value {
        json!({ "regular": { "bytes": text.as_bytes(), "executable": false } })
    }

    #[test]
    fn the_folder_holds_exactly_the_closure_and_what_is_the_same_keeps_its_time() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let at = |path: &str| folder.path().join(path);
        let time = |path: &str| std::fs::metadata(at(path)).and_then(|file| file.modified()).expect("it is there");
        write(&closure(json!({ "a/one": text("1"), "a/two": text("2"), "a/x/y": text("3") })), folder.path())
            .expect("it is written");
        let (one, two) = (time("a/one"), time("a/two"));
        write(&closure(json!({ "a/one": text("1"), "a/two": text("4"), "a/x": text("5") })), folder.path())
            .expect("it is written");
        assert_eq!(time("a/one"), one);
        assert!(time("a/two") > two);
        assert_eq!(std::fs::read(at("a/x")).expect("it is a file now"), b"5");
        write(&closure(json!({ "a/x/y": text("6") })), folder.path()).expect("it is written");
        assert!(!at("a/one").exists());
        assert_eq!(std::fs::read(at("a/x/y")).expect("its folder is back"), b"6");
    }

    #[test]
    fn nothing_is_written_through_a_link_that_an_earlier_closure_had() {
        let outside = tempfile::tempdir().expect("there is a temporary folder");
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let link = json!({ "symlink": { "target": outside.path() } });
        write(&closure(json!({ "a/out": link })), folder.path()).expect("it is written");
        write(&closure(json!({ "a/out/file": text("x") })), folder.path()).expect("it is written");
        assert_eq!(std::fs::read_dir(outside.path()).expect("it is there").count(), 0);
        assert!(folder.path().join("a/out/file").is_file());
    }

    #[test]
    fn a_closure_that_points_out_of_its_folder_is_refused() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        for path in ["../x", "/etc/x", "a/../../x", "a//x", "", ".", "a/./x", "a\\x"] {
            let error = write(&closure(json!({ path: text("x") })), folder.path()).expect_err(path);
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path}");
        }
        let both = closure(json!({ "a": text("x"), "a/b": text("y") }));
        assert!(write(&both, folder.path()).expect_err("it is both").to_string().contains("a file and a folder"));
        assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
    }
}
