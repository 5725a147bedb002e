//! `kubectl` against the API of `wasmbed up`, as a person uses it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Kubectl(PathBuf);

impl Kubectl {
    /// `kubectl` with this kubeconfig; none, with a named skip, where it is not installed.
    pub fn find(kubeconfig: &Path) -> Option<Self> {
        let found =
            Command::new("kubectl").args(["version", "--client"]).output().is_ok_and(|out| out.status.success());
        if !found {
            // Not by `eprintln!`: what that says in a test that passes, nobody sees.
            let skipped = b"SKIPPED: kubectl is not installed, so its view of the fleet is not looked at\n";
            std::io::stderr().write_all(skipped).unwrap();
        }
        found.then(|| Self(kubeconfig.to_owned()))
    }

    pub fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("kubectl").env("KUBECONFIG", &self.0).args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}
