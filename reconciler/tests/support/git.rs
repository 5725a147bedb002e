//! A bare repository and a working copy of it, made with the `git` program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A fleet's repository as a person holds it.
pub struct Fleet {
    folder: tempfile::TempDir,
}

impl Fleet {
    /// An empty bare repository with branch `main` and a clone of it.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let fleet = Self { folder };
        git(fleet.folder.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "fleet.git"]);
        git(fleet.folder.path(), &["init", "--quiet", "--initial-branch=main", "copy"]);
        git(&fleet.copy(), &["remote", "add", "origin", "../fleet.git"]);
        for (key, value) in
            [("user.name", "Test"), ("user.email", "test@example.org"), ("commit.gpgsign", "false"), ("gc.auto", "0")]
        {
            git(&fleet.copy(), &["config", key, value]);
        }
        fleet
    }

    /// The bare repository.
    pub fn bare(&self) -> PathBuf {
        self.folder.path().join("fleet.git")
    }

    /// The address to follow.
    pub fn url(&self) -> String {
        format!("file://{}", self.bare().display())
    }

    /// The working copy.
    pub fn copy(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    /// Writes a file of the working copy.
    pub fn write(&self, path: &str, content: &str) -> &Self {
        let file = self.copy().join(path);
        std::fs::create_dir_all(file.parent().expect("inside the copy")).expect("folders");
        std::fs::write(file, content).expect("written");
        self
    }

    /// Removes a file of the working copy.
    pub fn remove(&self, path: &str) -> &Self {
        std::fs::remove_file(self.copy().join(path)).expect("removed");
        self
    }

    /// Makes a symbolic link in the working copy.
    pub fn link(&self, path: &str, target: &str) -> &Self {
        let link = self.copy().join(path);
        std::fs::create_dir_all(link.parent().expect("inside the copy")).expect("folders");
        std::os::unix::fs::symlink(target, link).expect("linked");
        self
    }

    /// Commits everything; gives the commit.
    pub fn commit(&self, message: &str) -> String {
        git(&self.copy(), &["add", "--all"]);
        git(&self.copy(), &["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// Commits everything and pushes it; gives the commit.
    pub fn push(&self, message: &str) -> String {
        let head = self.commit(message);
        git(&self.copy(), &["push", "--quiet", "origin", "HEAD:main"]);
        head
    }

    /// `git revert` of the last commit, pushed.
    pub fn push_revert(&self) -> String {
        git(&self.copy(), &["revert", "--no-edit", "HEAD"]);
        git(&self.copy(), &["push", "--quiet", "origin", "HEAD:main"]);
        self.head()
    }

    /// Any other git command in the working copy.
    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.copy(), arguments)
    }

    /// The working copy's commit.
    pub fn head(&self) -> String {
        git(&self.copy(), &["rev-parse", "HEAD"])
    }
}

/// Runs git quietly and gives what it prints.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .stdin(Stdio::null())
        .output()
        .expect("the git program");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}
