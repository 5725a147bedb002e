//! This test program again, as a process of its own that can be killed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wasmbed_device::Options;

const ROLE: &str = "WASMBED_DEVICE_TEST_ROLE";
const DIR: &str = "WASMBED_DEVICE_TEST_DIR";

/// Longer than anything here takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What a child does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Runs the device of the folder.
    Device,
    /// Writes to the flash file of the folder and says what is durable.
    Writer,
}

/// A child, killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    _stdin: Option<ChildStdin>,
}

/// Not a test: what a child does. In the parent it is nothing.
#[test]
fn as_a_child() {
    let (Ok(role), Some(dir)) = (std::env::var(ROLE), std::env::var_os(DIR)) else { return };
    let dir = Path::new(&dir);
    match role.as_str() {
        "Device" => {
            tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_env_filter("debug").init();
            println!("\nbegins");
            let ended = wasmbed_device::run(Options { dir: dir.to_owned(), with_parent: true });
            println!("ended {ended:?}");
        }
        "Writer" => crate::flash::write_for_ever(dir, |line| {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
        }),
        role => panic!("no such role: {role}"),
    }
}

impl Process {
    pub(crate) fn start(role: Role, dir: &Path) -> Process {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command.args(["--exact", "child::as_a_child", "--nocapture", "--test-threads=1"]);
        Process::spawn(command, role, dir)
    }

    /// A child whose files cannot grow behind so many bytes, as on a full disk.
    pub(crate) fn start_limited(role: Role, dir: &Path, bytes: u64) -> Process {
        // An ignored signal stays ignored over exec, so that a write fails instead of killing the process.
        Process::start_after("trap '' XFSZ", role, dir, bytes)
    }

    /// A child that the kernel kills in the middle of the write that reaches so many bytes into a file.
    pub(crate) fn start_doomed(role: Role, dir: &Path, bytes: u64) -> Process {
        Process::start_after("ulimit -c 0", role, dir, bytes)
    }

    fn start_after(first: &str, role: Role, dir: &Path, bytes: u64) -> Process {
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new("bash");
        // The shell counts in KiB.
        let script = format!("{first}; ulimit -f {}; exec \"$@\"", bytes / 1024);
        command.args(["-c", &script, "bash"]).arg(program);
        command.args(["--exact", "child::as_a_child", "--nocapture", "--test-threads=1"]);
        Process::spawn(command, role, dir)
    }

    fn spawn(mut command: Command, role: Role, dir: &Path) -> Process {
        let log = std::fs::File::create(dir.join("stderr")).unwrap();
        let mut child = command
            .env(ROLE, format!("{role:?}"))
            .env(DIR, dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stdin = child.stdin.take();
        // Read by a thread, so that a child that says nothing is not waited for without end; and no faster than the
        // test wants it, so that a child is held up as by any reader.
        let (read, lines) = sync_channel(1);
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| read.send(line)));
        Process { child, lines, _stdin: stdin }
    }

    /// The next line it writes; none when it has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the child said nothing for {PATIENCE:?} and did not end"),
        }
    }

    /// The next line that begins so.
    pub(crate) fn line_with(&mut self, prefix: &str) -> String {
        loop {
            let line = self.line().unwrap_or_else(|| panic!("it ended before it said {prefix:?}"));
            if line.starts_with(prefix) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Closes its standard input, as a parent that is gone does.
    pub(crate) fn leave(&mut self) {
        self._stdin = None;
    }

    /// Ends it in the middle of whatever it does; what it said until then.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.signal(Signal::SIGKILL);
        let rest = std::iter::from_fn(|| self.line()).collect();
        assert_eq!(self.ended().signal(), Some(9));
        rest
    }

    /// Waits until it ends by itself; what it wrote, and whether it succeeded.
    pub(crate) fn wait(mut self) -> (Vec<String>, bool) {
        let rest = std::iter::from_fn(|| self.line()).collect();
        (rest, self.ended().success())
    }

    /// How it ended, if it has.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the child ends", || {
            status = self.end();
            status.is_some()
        });
        status.unwrap()
    }

    /// Memory that is its own alone, in bytes: not the program's text, whose size depends on how it was built.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
