//! A copy of the example fleet.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::outcome::Outcome;
use super::repository::Repository;
use super::running::program;

pub struct Fleet {
    folder: tempfile::TempDir,
    pub repository: Repository,
}

impl Fleet {
    /// The example fleet as it is in this repository, pushed.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("wasmbed-e2e-").tempdir().unwrap();
        let repository = Repository::create(folder.path());
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fleet-example"), &repository.copy);
        repository.push("The example fleet");
        Self { folder, repository }
    }

    /// The working copy.
    pub fn copy(&self) -> &Path {
        &self.repository.copy
    }

    /// A state folder in which the libraries of all tests are prepared, so that only applications are compiled.
    pub fn state(&self) -> PathBuf {
        let state = self.folder.path().join("state");
        let place = state.join("builder/toolchains");
        if !place.exists() {
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(Self::libraries(), place).unwrap();
        }
        state
    }

    /// Where the libraries of all tests are.
    pub fn libraries() -> PathBuf {
        let libraries = Path::new(env!("CARGO_TARGET_TMPDIR")).join("builder/toolchains");
        std::fs::create_dir_all(&libraries).unwrap();
        libraries
    }

    /// A folder on which a small disk can be put.
    pub fn small_state(&self) -> PathBuf {
        let state = self.folder.path().join("small");
        std::fs::create_dir_all(&state).unwrap();
        state
    }

    /// Whether `bwrap` can put a small disk there.
    pub fn can_make_disks(&self) -> bool {
        let small = ["--dev-bind", "/", "/", "--size", "32768", "--tmpfs"];
        let output = Command::new("bwrap").args(small).arg(self.small_state()).arg("true").output();
        output.is_ok_and(|output| output.status.success())
    }

    /// A command that runs in the working copy.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(program().current_dir(self.copy()).env("WASMBED_STATE", self.state()).args(arguments))
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if !entry.file_type().unwrap().is_dir() {
            std::fs::copy(entry.path(), place).unwrap();
        } else if entry.file_name() != "target" {
            copy(&entry.path(), &place);
        }
    }
}
