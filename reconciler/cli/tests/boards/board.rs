//! A board that the test itself runs, by `wasmbed emulate`.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::lines::wait_for;
use super::running::{Running, Up, has_ended, program, signal};

/// Where it is provisioned, and what it is known by.
pub struct Board {
    folder: PathBuf,
    pub key: String,
}

impl Board {
    /// An MPS2 AN386 with an identity in the fleet of `up`, in a folder of its own.
    pub fn provision(up: &Up, folder: PathBuf) -> Self {
        // The address is replaced when it is started.
        let mut command =
            up.command(&["provision", "--board", "mps2-an386", "--gateway", "127.0.0.1:1", "--output", "json"]);
        let output = command.arg(&folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let provisioned: Value = serde_json::from_slice(&output.stdout).unwrap();
        Self { folder, key: provisioned["publicKey"].as_str().unwrap().to_owned() }
    }

    /// Switches it on; its UART is the standard output of what is returned.
    pub fn start(&self, images: &Path, gateways: &[&str]) -> Running {
        let mut command = program();
        command.args(["emulate", "--board", "mps2-an386", "--firmware"]).arg(images).arg("--dir").arg(&self.folder);
        for gateway in gateways {
            command.args(["--gateway", gateway]);
        }
        Running::start("the board", &mut command)
    }
}

/// Takes its power, and what would give it back.
pub fn cut_power(mut board: Running) {
    let qemu = wait_for("QEMU runs", || child(board.id()), Option::is_some).unwrap();
    signal(qemu, Signal::SIGKILL);
    board.kill();
    wait_for("QEMU is gone", || has_ended(qemu), |gone| *gone);
}

/// The child of a process.
fn child(parent: u32) -> Option<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).ok()?.flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    children
        .flat_map(|ids| ids.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .find_map(|id| id.parse().ok())
}
