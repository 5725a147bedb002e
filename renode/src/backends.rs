//! What this machine has to emulate boards with.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::machine::Machine;

/// Which emulators and firmware images are here.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Backends {
    /// The program `qemu-system-arm`.
    pub qemu: Option<PathBuf>,
    /// The program `renode`.
    pub renode: Option<PathBuf>,
    /// Firmware images by their names, without `.elf`.
    pub images: BTreeMap<&'static str, Image>,
    /// Where images were looked for.
    pub looked_in: Vec<PathBuf>,
}

/// A firmware image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Image {
    /// The ELF file.
    pub path: PathBuf,
    /// When it was written: another time is another image, and its devices are started anew with it.
    pub written: Option<SystemTime>,
}

impl Backends {
    /// What is here: emulators on `PATH`, images in the first of `folders` that has the one looked for.
    #[must_use]
    pub fn find(folders: &[PathBuf]) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let image = |name: &'static str| {
            let mut files = folders.iter().map(|folder| folder.join(format!("{name}.elf")));
            let path = files.find(|path| path.is_file())?;
            let written = std::fs::metadata(&path).and_then(|file| file.modified()).ok();
            Some((name, Image { path, written }))
        };
        Self {
            qemu: on_path(&path, "qemu-system-arm"),
            renode: on_path(&path, "renode"),
            images: Machine::all().filter_map(|machine| image(machine.image())).collect(),
            looked_in: folders.to_vec(),
        }
    }
}

/// The folders that firmware images are looked for in: the one that was named, else those that belong to `program`: beside
/// its target folder's profile (`target/release/wasmbed`: `target/firmware`), and where it was installed
/// (`/usr/bin/wasmbed`: `/usr/share/wasmbed/firmware`).
#[must_use]
pub fn firmware_folders(named: Option<&Path>, program: &Path) -> Vec<PathBuf> {
    match (named, program.parent().and_then(Path::parent)) {
        (Some(named), _) => vec![std::path::absolute(named).unwrap_or_else(|_| named.to_owned())],
        (None, Some(above)) => vec![above.join("firmware"), above.join("share/wasmbed/firmware")],
        (None, None) => Vec::new(),
    }
}

fn on_path(path: &OsStr, program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |file: &PathBuf| {
        std::fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    // A relative folder on PATH would be another one for each process.
    std::env::split_paths(path).filter(|folder| folder.is_absolute()).map(|folder| folder.join(program)).find(runs)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_named_folder_is_the_only_one_looked_in() {
        let folders = firmware_folders(Some(Path::new("/images")), Path::new("/src/target/release/wasmbed"));
        assert_eq!(folders, [Path::new("/images")]);
    }

    #[test]
    fn without_one_images_lie_beside_what_was_built_or_where_it_was_installed() {
        let folders = firmware_folders(None, Path::new("/src/target/release/wasmbed"));
        assert_eq!(folders[0], Path::new("/src/target/firmware"));
        let folders = firmware_folders(None, Path::new("/usr/bin/wasmbed"));
        assert_eq!(folders[1], Path::new("/usr/share/wasmbed/firmware"));
    }

    #[test]
    fn the_first_folder_with_an_image_counts_and_other_files_do_not() {
        let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let in_second = second.path().join("mps2-an386.elf");
        for file in [first.path().join("mps2-an385.elf"), first.path().join("mps2-an500"), in_second.clone()] {
            std::fs::write(file, "ELF").expect("the disk works");
        }
        std::fs::write(second.path().join("mps2-an385.elf"), "ELF").expect("the disk works");
        let found = Backends::find(&[first.path().to_owned(), second.path().to_owned()]);
        let paths: Vec<_> = found.images.iter().map(|(name, image)| (*name, image.path.clone())).collect();
        assert_eq!(paths, [("mps2-an385", first.path().join("mps2-an385.elf")), ("mps2-an386", in_second)]);
    }

    #[test]
    fn a_program_is_found_on_the_path_if_it_may_be_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("qemu-system-arm");
        std::fs::write(&program, "#!/bin/sh\n").expect("the disk works");
        let path =
            std::env::join_paths([Path::new("relative"), Path::new("/nowhere"), folder.path()]).expect("no colons");
        assert_eq!(on_path(&path, "qemu-system-arm"), None, "nobody may run it");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("the disk works");
        assert_eq!(on_path(&path, "qemu-system-arm"), Some(program));
    }
}
