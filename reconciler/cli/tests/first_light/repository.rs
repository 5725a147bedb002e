//! A real bare repository and a working copy to push from.

use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Repository {
    pub bare: PathBuf,
    pub copy: PathBuf,
}

impl Repository {
    pub fn create(folder: &Path) -> Self {
        let this = Self { bare: folder.join("fleet.git"), copy: folder.join("copy") };
        std::fs::create_dir_all(&this.copy).unwrap();
        run(folder, &["init", "-q", "--bare", "-b", "main", this.bare.to_str().unwrap()]);
        this.git(&["init", "-q", "-b", "main"]);
        this.git(&["config", "user.name", "Tester"]);
        this.git(&["config", "user.email", "tester@example.org"]);
        this.git(&["config", "commit.gpgsign", "false"]);
        this.git(&["remote", "add", "origin", this.bare.to_str().unwrap()]);
        this
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        run(&self.copy, arguments)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.copy.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Commits everything and pushes it; returns the revision.
    pub fn push(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
        self.git(&["push", "-q", "origin", "main"]);
        self.head()
    }

    /// Reverts the last commit and pushes that; returns the revision.
    pub fn revert(&self) -> String {
        self.git(&["revert", "--no-edit", "HEAD"]);
        self.git(&["push", "-q", "origin", "main"]);
        self.head()
    }

    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
