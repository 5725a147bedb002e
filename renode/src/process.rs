//! A child process that is kept running: restarted with back-off, its output kept in a file, ended when it should.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Waits between two starts: from the first to the second, doubled after each failure.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// A process that ran for this long starts its back-off anew.
const HEALTHY: Duration = Duration::from_secs(10);
/// What a process may take to end after SIGTERM before SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes of output in the file; what is beyond goes to `*.1`, and what was there goes.
const OUTPUT_KEPT: u64 = 1 << 20;
/// How often the output of a running process is looked at.
const OUTPUT_REVIEW: Duration = Duration::from_secs(30);

/// What to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessSpec {
    /// For messages, for example `device sensor-1`.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What its environment has beside that of this process.
    pub environment: Vec<(OsString, OsString)>,
    /// The folder it runs in; that of this process if none.
    pub folder: Option<PathBuf>,
    /// Where its standard output and error go, appended.
    pub output: PathBuf,
}

/// What the process is doing now.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ProcessState {
    /// Its process id, while it runs.
    pub id: Option<u32>,
    /// Times it was started again.
    pub restarts: u64,
    /// How it ended last, or why it cannot be started.
    pub last_end: Option<String>,
}

/// A process that is kept running until it is stopped.
///
/// The child's standard input is a pipe that only this process holds: a child that reads end of file there knows that
/// its parent is gone, however it ended, and ends too (see [`parent_is_gone`]).
#[derive(Debug)]
pub struct Process {
    stop: watch::Sender<bool>,
    state: watch::Receiver<ProcessState>,
    output: PathBuf,
    task: JoinHandle<()>,
}

impl Process {
    /// Starts `spec` and keeps it running.
    #[must_use]
    pub fn start(spec: ProcessSpec) -> Self {
        Self::start_after(spec, || Ok(()))
    }

    /// Starts `spec` and keeps it running; `prepare` is done before every start. Its error counts as an end of the process.
    #[must_use]
    pub fn start_after(spec: ProcessSpec, prepare: impl FnMut() -> io::Result<()> + Send + 'static) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (tell, state) = watch::channel(ProcessState::default());
        let output = spec.output.clone();
        let task = tokio::spawn(keep_running(spec, prepare, stopped, tell));
        Self { stop, state, output, task }
    }

    /// The file its output goes to.
    #[must_use]
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// What the process is doing, and a way to wait for a change.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ProcessState> {
        self.state.clone()
    }

    /// Ends the process: SIGTERM, and SIGKILL after 5 s. Returns once it is gone.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a supervising task failed");
        }
    }
}

async fn keep_running(
    spec: ProcessSpec,
    mut prepare: impl FnMut() -> io::Result<()>,
    mut stopped: watch::Receiver<bool>,
    tell: watch::Sender<ProcessState>,
) {
    let mut back_off = BACK_OFF.0;
    'starts: while !*stopped.borrow() {
        let started = Instant::now();
        let spawned = match prepare() {
            Ok(()) => spawn(&spec).await,
            Err(error) => Err(error),
        };
        let end = match spawned {
            Ok(mut child) => {
                // Held here: `wait` would close it, and the child take that for our end.
                let _lifeline = child.stdin.take();
                tell.send_modify(|state| state.id = child.id());
                loop {
                    tokio::select! {
                        status = child.wait() => break describe(status),
                        () = told_to_stop(&mut stopped) => {
                            end(&spec.name, &mut child).await;
                            break 'starts;
                        }
                        () = tokio::time::sleep(OUTPUT_REVIEW) => if let Err(error) = shorten(&spec.output) {
                            tracing::warn!(process = spec.name, %error, "the output of a process cannot be shortened");
                        }
                    }
                }
            }
            Err(error) => format!("cannot be started: {error}"),
        };
        if started.elapsed() >= HEALTHY {
            back_off = BACK_OFF.0;
        }
        tracing::warn!(process = spec.name, %end, output = %spec.output.display(), again_in = ?back_off, "a process ended");
        tell.send_modify(|state| {
            *state = ProcessState { id: None, restarts: state.restarts + 1, last_end: Some(end) };
        });
        tokio::select! {
            () = tokio::time::sleep(back_off) => {}
            () = told_to_stop(&mut stopped) => break,
        }
        back_off = (back_off * 2).min(BACK_OFF.1);
    }
    tell.send_modify(|state| state.id = None);
}

async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // The sender gone means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn spawn(spec: &ProcessSpec) -> io::Result<Child> {
    let output = open_output(&spec.output)?;
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.arguments)
        .envs(spec.environment.iter().cloned())
        .stdin(Stdio::piped())
        .stdout(output.try_clone()?)
        .stderr(output)
        // A group of its own: Ctrl-C at the terminal reaches the parent alone, which ends its children in order.
        .process_group(0)
        .kill_on_drop(true);
    if let Some(folder) = &spec.folder {
        command.current_dir(folder);
    }
    let (answer, spawned) = oneshot::channel();
    let handle = Handle::current();
    let job: Job = Box::new(move || {
        let _runtime = handle.enter();
        // Nobody waits any more: the child is dropped, which ends it.
        let _ = answer.send(command.spawn());
    });
    let gone = |_| io::Error::other("the thread that starts processes is gone");
    spawner().send(job).map_err(|error| io::Error::other(error.to_string()))?;
    spawned.await.map_err(gone)?
}

type Job = Box<dyn FnOnce() + Send>;

/// The thread that starts processes. It lives as long as this program does: a child that [`crate::guard`] ties to its
/// parent ends with the *thread* that started it, and a runtime may end a thread of its own at any time.
fn spawner() -> &'static mpsc::Sender<Job> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (jobs, todo) = mpsc::channel::<Job>();
        std::thread::spawn(move || todo.into_iter().for_each(|job| job()));
        jobs
    })
}

pub(crate) fn open_output(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    if std::fs::metadata(path).is_ok_and(|file| file.len() > OUTPUT_KEPT) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// Bounds the output of a process that writes on: it appends, so that it goes on at the beginning of the emptied file.
fn shorten(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.len() > OUTPUT_KEPT {
        std::fs::copy(path, path.with_extension("log.1"))?;
        file.set_len(0)?;
    }
    Ok(())
}

async fn end(name: &str, child: &mut Child) {
    let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) else { return };
    // The child is ours and not yet waited for, so the id cannot be another process's.
    if let Err(error) = kill(Pid::from_raw(id), Signal::SIGTERM) {
        tracing::debug!(process = name, %error, "a process had ended before it was asked to");
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        tracing::warn!(process = name, grace = ?GRACE, "a process did not end when asked and is killed");
        if let Err(error) = child.kill().await {
            tracing::error!(process = name, %error, "a process cannot be killed");
        }
    }
}

fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("cannot be waited for: {error}"),
    }
}

/// Completes when standard input ends: for a child started by [`Process`], when its parent is gone.
pub async fn parent_is_gone() {
    // A thread, and not tokio's stdin, whose pending read would keep the runtime from ending.
    let (gone, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = gone.send(());
    });
    let _ = wait.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than anything here takes, even on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(120);

    fn shell(dir: &Path, script: &str) -> ProcessSpec {
        ProcessSpec {
            name: "test".to_owned(),
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: Vec::new(),
            folder: None,
            output: dir.join("logs/test.log"),
        }
    }

    /// Waits until the process is in such a state.
    async fn until(process: &Process, is: impl FnMut(&ProcessState) -> bool) -> ProcessState {
        let mut state = process.state();
        let state = tokio::time::timeout(PATIENCE, state.wait_for(is)).await.expect("it comes to that");
        state.expect("it is supervised").clone()
    }

    /// Whether this process holds the other end of a child's standard input.
    fn holds_input_of(id: u32) -> bool {
        let input = std::fs::read_link(format!("/proc/{id}/fd/0")).expect("it has one");
        let own = std::fs::read_dir("/proc/self/fd").expect("Linux has it").flatten();
        own.filter_map(|open| std::fs::read_link(open.path()).ok()).any(|open| open == input)
    }

    fn alive(id: u32) -> bool {
        kill(Pid::from_raw(i32::try_from(id).expect("an id fits")), None).is_ok()
    }

    #[tokio::test]
    async fn a_process_that_ends_is_started_again_and_its_output_is_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let process = Process::start(shell(dir.path(), "echo hello; exit 3"));
        let state = until(&process, |state| state.restarts >= 2).await;
        assert_eq!(state.last_end.as_deref(), Some("exit status: 3"));
        process.stop().await;
        let output = std::fs::read_to_string(dir.path().join("logs/test.log")).expect("it is there");
        assert!(output.starts_with("hello\nhello\n"), "{output}");
    }

    #[tokio::test]
    async fn a_process_is_gone_once_stop_returns() {
        let dir = tempfile::tempdir().expect("a folder");
        let process = Process::start(shell(dir.path(), "exec sleep 60"));
        let id = until(&process, |state| state.id.is_some()).await.id.expect("it runs");
        assert!(alive(id));
        process.stop().await;
        assert!(!alive(id));
    }

    #[tokio::test]
    async fn a_child_that_waits_for_its_parents_end_keeps_running() {
        let dir = tempfile::tempdir().expect("a folder");
        // The shell says that it waits, and ends only with its standard input.
        let process = Process::start(shell(dir.path(), "echo waiting; cat; echo ended"));
        let id = until(&process, |state| state.id.is_some()).await.id.expect("it runs");
        let output = dir.path().join("logs/test.log");
        let waits = async {
            while std::fs::read_to_string(&output).is_ok_and(|text| text.is_empty()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waits).await.expect("the shell says that it waits");
        // By now it is waited for, which must not have closed its input: `cat` would see the end of it.
        assert!(holds_input_of(id));
        assert!(alive(id));
        assert_eq!(process.state().borrow().restarts, 0);
        process.stop().await;
        assert_eq!(std::fs::read_to_string(&output).expect("it is there"), "waiting\n");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_said_and_tried_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let spec = ProcessSpec { program: "/nowhere/program".into(), ..shell(dir.path(), "") };
        let process = Process::start(spec);
        let end = until(&process, |state| state.last_end.is_some()).await.last_end;
        assert!(end.expect("there").starts_with("cannot be started: No such file"));
        process.stop().await;
    }

    #[tokio::test]
    async fn what_has_to_be_done_before_a_start_is_done_before_every_one_and_its_failure_is_said() {
        let dir = tempfile::tempdir().expect("a folder");
        let made = dir.path().join("made");
        let mut starts = 0;
        let spec =
            ProcessSpec { folder: Some(dir.path().to_owned()), ..shell(dir.path(), "cat made; rm made; exit 1") };
        let process = Process::start_after(spec, move || {
            starts += 1;
            if starts == 2 {
                Err(io::Error::other("no disk"))
            } else {
                std::fs::write(&made, format!("start {starts}\n"))
            }
        });
        let mut state = process.state();
        let end = state.wait_for(|state| state.restarts == 2).await.expect("supervised").last_end.clone();
        assert_eq!(end.as_deref(), Some("cannot be started: no disk"));
        state.wait_for(|state| state.restarts >= 3).await.expect("supervised");
        process.stop().await;
        let output = std::fs::read_to_string(dir.path().join("logs/test.log")).expect("it is there");
        assert!(output.starts_with("start 1\nstart 3\n"), "{output}");
    }

    #[test]
    fn the_output_of_a_process_that_writes_on_is_bounded() {
        use std::io::Write as _;

        let folder = tempfile::tempdir().expect("the disk works");
        let path = folder.path().join("device-1.log");
        let mut output = open_output(&path).expect("the disk works");
        output.write_all(b"short").expect("the disk works");
        shorten(&path).expect("the disk works");
        assert_eq!(std::fs::read(&path).expect("the disk works"), b"short");
        output.write_all(&vec![b'x'; 1 << 20]).expect("the disk works");
        shorten(&path).expect("the disk works");
        output.write_all(b"goes on").expect("the disk works");
        assert_eq!(std::fs::read(&path).expect("the disk works"), b"goes on");
        assert_eq!(
            std::fs::metadata(folder.path().join("device-1.log.1")).expect("the disk works").len(),
            (1 << 20) + 5
        );
    }
}
