//! The program under test as processes, which end with the test however it ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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
        signal(self.child.id(), "INT");
        self.child.wait().unwrap().success()
    }

    /// Ends it as power loss does.
    pub fn kill(mut self) {
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
pub fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status().unwrap();
    assert!(sent.success(), "kill -{name} {id}");
}

/// `wasmbed up` on a folder and a repository.
pub struct Up {
    pub process: Running,
    state: PathBuf,
}

impl Up {
    pub fn start(state: &Path, repository: &Path) -> Self {
        let mut command = program();
        command.args(["up", "--output", "json", "--state"]).arg(state).arg("--repo").arg(repository);
        // Compiled libraries are the same for every test.
        command.arg("--builder-folder").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("builder"));
        let mut process = Running::start("wasmbed up", &mut command);
        process.out.next("it starts", |line| line.contains("\"started\"").then_some(()));
        Self { process, state: state.to_owned() }
    }

    pub fn wait_until_ready(&mut self) {
        self.process.out.next("it is ready", |line| line.contains("\"ready\"").then_some(()));
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

    /// The process id of a child of `wasmbed up`, by the first word of its arguments.
    pub fn child(&self, word: &str) -> Option<u32> {
        let parent = self.process.id().to_string();
        let children = Command::new("pgrep").args(["-P", &parent, "-f", &format!("wasmbed {word} ")]).output().unwrap();
        String::from_utf8(children.stdout).unwrap().lines().next().map(|id| id.parse().unwrap())
    }
}

/// The text of a log line of `wasmbed logs --output json`.
pub fn text(line: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    Some(event["text"].as_str()?.to_owned())
}
