//! A pod, played by a process.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::lines::wait_for;
use crate::running::signal;

/// The port of health and metrics.
pub const HEALTH: u16 = 8081;

/// A pod that runs. Killed when it is dropped.
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Ipv4Addr,
    log: PathBuf,
    child: Child,
}

impl Pod {
    /// Starts its process, in a folder of its own.
    pub fn start(name: String, address: Ipv4Addr, folder: &Path, command: &mut Command) -> Self {
        let log = folder.join("log");
        let file = std::fs::File::create(&log).unwrap();
        command.current_dir(folder).stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self { name, address, log, child: command.spawn().unwrap() }
    }

    /// Waits until it says that it is ready, as a kubelet does.
    pub async fn wait_until_ready(&mut self) {
        let deadline = tokio::time::Instant::now() + crate::lines::DEADLINE;
        loop {
            let answer = self.get("/readyz").await;
            if answer.as_ref().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "{} ended:\n{}", self.name, self.log());
            assert!(tokio::time::Instant::now() < deadline, "{} is not ready: {answer:?}\n{}", self.name, self.log());
            // Asked again, not slept over: the answer above decides.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// What it answers on its health port.
    ///
    /// # Errors
    /// While nobody listens there.
    pub async fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((self.address, HEALTH)).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        Path::new("/proc").join(self.child.id().to_string()).join("fd").exists()
    }

    /// Ends it as a node that loses power does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as a kubelet does.
    pub fn terminate(mut self) -> ExitStatus {
        signal(self.child.id(), nix::sys::signal::Signal::SIGTERM);
        let look = || self.child.try_wait().unwrap();
        wait_for(&format!("{} ends", self.name), look, Option::is_some).unwrap()
    }

    /// What it printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(25).collect();
            eprintln!("--- {}\n{}", self.name, tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// A part of 127.0.0.0/8 that is one test's own: others of this process and of other processes may run beside it.
pub fn network() -> u8 {
    static TAKEN: AtomicU8 = AtomicU8::new(0);
    let of_process = (std::process::id() % 62) as u8;
    of_process * 4 + 1 + TAKEN.fetch_add(1, Ordering::Relaxed) % 4
}
