//! The program under test as processes, which end with the test however it ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::lines::Lines;

/// The program under test.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasmbed"));
    command.env_remove("RUST_LOG").env_remove("WASMBED_STATE").env_remove("KUBECONFIG");
    command
}

/// A process that is killed when this is dropped.
pub struct Running {
    child: Child,
    pub out: Lines,
}

impl Running {
    pub fn start(what: &str, command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let out = Lines::of(what, child.stdout.take().unwrap());
        Self { child, out }
    }

    /// As [`Running::start`], with the lines of its standard error too.
    pub fn start_with_errors(what: &str, command: &mut Command) -> (Self, Lines) {
        let (reader, writer) = std::io::pipe().unwrap();
        let running = Self::start(what, command.stderr(writer));
        // The command holds the other end of the pipe until it goes or gets another.
        command.stderr(Stdio::null());
        (running, Lines::of(what, reader))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as Ctrl-C does, and waits; says whether it ended well.
    pub fn interrupt(mut self) -> bool {
        signal(self.child.id(), Signal::SIGINT);
        self.child.wait().unwrap().success()
    }

    /// Ends it as power loss does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that the test started, directly or through `wasmbed up`.
pub fn signal(id: u32, signal: Signal) {
    kill(process(id), signal).unwrap_or_else(|error| panic!("{signal} to {id}: {error}"));
}

fn process(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap())
}

/// A process that stands still until this is dropped, however the test ends.
pub struct Halted(u32);

impl Halted {
    pub fn new(id: u32) -> Self {
        signal(id, Signal::SIGSTOP);
        Self(id)
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        // It may have ended meanwhile.
        let _ = kill(process(self.0), Signal::SIGCONT);
    }
}

/// The state and the parent of a process, as proc_pid_stat(5) has them; none if it has ended and was waited for.
fn state_and_parent(id: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // Its name stands in brackets before them, and may hold blanks and brackets itself.
    let (_, after) = stat.rsplit_once(") ")?;
    let mut fields = after.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Whether a process has ended, waited for or not.
pub fn has_ended(id: u32) -> bool {
    state_and_parent(id).is_none_or(|(state, _)| matches!(state, 'Z' | 'X'))
}

/// `wasmbed up` on a folder and a repository.
pub struct Up {
    pub process: Running,
    state: PathBuf,
}

impl Up {
    pub fn start(state: &Path, repository: &Path) -> Self {
        Self::start_with(state, |command| {
            command.arg("--repo").arg(repository);
        })
    }

    /// `wasmbed up` with `more` arguments; with none it makes the example fleet, as a newcomer starts it.
    pub fn start_with(state: &Path, more: impl FnOnce(&mut Command)) -> Self {
        let mut command = program();
        command.args(["up", "--output", "json", "--state"]).arg(state);
        more(&mut command);
        // Compiled libraries are the same for every test.
        command.arg("--builder-folder").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("builder"));
        let mut process = Running::start("wasmbed up", &mut command);
        process.out.next("it starts", |line| line.contains("\"started\"").then_some(()));
        Self { process, state: state.to_owned() }
    }

    /// Waits until it says that all is ready, and returns what it says.
    pub fn wait_until_ready(&mut self) -> Value {
        let event = |line: &str| serde_json::from_str::<Value>(line).ok();
        self.process.out.next("it is ready", |line| event(line).filter(|event| event["event"] == "ready"))
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.state.join("kubeconfig")
    }

    /// A command of the program on this state.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).arg("--state").arg(&self.state);
        command
    }

    /// What `wasmbed logs -f` prints, as JSON lines.
    pub fn logs(&self, name: &str) -> Running {
        Running::start("wasmbed logs", &mut self.command(&["logs", "-f", "--phases", "--output", "json", name]))
    }

    /// What `wasmbed status --output json` prints.
    pub fn status(&self) -> Value {
        let output = self.command(&["status", "--output", "json"]).output().unwrap();
        assert!(output.status.success(), "wasmbed status: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// One object of the status, by its kind's plural and its name.
    pub fn of(&self, kind: &str, name: &str) -> Value {
        let status = self.status();
        let found = status[kind].as_array().unwrap().iter().find(|object| object["name"] == name).cloned();
        found.unwrap_or(Value::Null)
    }

    /// The process ids of what `wasmbed up` started and what has not ended, with the first word of their arguments.
    fn running_children(&self) -> Vec<(u32, Vec<u8>)> {
        let ids = std::fs::read_dir("/proc").unwrap().flatten();
        let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let children = ids.filter(|id| {
            state_and_parent(*id).is_some_and(|(state, parent)| state != 'Z' && parent == self.process.id())
        });
        let word = |id: u32| {
            let arguments = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            arguments.split(|byte| *byte == 0).nth(1).unwrap_or_default().to_vec()
        };
        children.map(|id| (id, word(id))).collect()
    }

    pub fn children(&self) -> Vec<u32> {
        self.running_children().into_iter().map(|(id, _)| id).collect()
    }

    /// A child of `wasmbed up`, by the first word of its arguments.
    pub fn child(&self, word: &str) -> Option<u32> {
        self.running_children().into_iter().find(|(_, first)| first == word.as_bytes()).map(|(id, _)| id)
    }
}

/// The text of a log line of `wasmbed logs --output json`.
pub fn text(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    Some(event["text"].as_str()?.to_owned())
}
