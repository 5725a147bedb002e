//! Running a program that is not trusted: bubblewrap with mounts by allow-list, and limits.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::usage;

/// The longest line of a program's output that is heard.
const LINE: usize = 1 << 20;
/// The most bytes of a program's errors that are kept: the last ones.
const TAIL: usize = 64 << 10;
/// Address space that allocators and threads reserve and do not use, in bytes.
const RESERVED: u64 = 8 << 30;
/// How often a running program's use is looked at.
const WATCH: Duration = Duration::from_millis(100);

/// How programs are kept in.
#[derive(Debug, Clone)]
pub(super) enum Sandbox {
    /// In namespaces of their own.
    Bubblewrap { bwrap: PathBuf, prlimit: PathBuf },
    /// Not at all: someone asked for it in as many words.
    None,
}

/// What a program may use at most.
#[derive(Debug, Clone)]
pub struct BuildLimits {
    /// How long a build may take, from its first program to its last.
    pub wall_clock: Duration,
    /// Bytes of memory, all its processes together.
    pub memory: u64,
    /// Processes at the same time.
    pub processes: usize,
    /// Bytes of one file it writes.
    pub file: u64,
    /// Bytes its folder may hold.
    pub disk: u64,
}

impl Default for BuildLimits {
    fn default() -> Self {
        Self { wall_clock: Duration::from_secs(300), memory: 3 << 30, processes: 128, file: 512 << 20, disk: 4 << 30 }
    }
}

/// A file or folder that a program sees.
#[derive(Debug, Clone)]
pub(super) struct Mount {
    pub(super) host: PathBuf,
    pub(super) inside: PathBuf,
    pub(super) writable: bool,
}

/// One run of a program.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// Path inside.
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(&'static str, OsString)>,
    pub(super) mounts: Vec<Mount>,
    /// Path inside.
    pub(super) folder: PathBuf,
    pub(super) network: bool,
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) success: bool,
    /// The end of what it wrote to its standard error.
    pub(super) errors: Vec<u8>,
}

/// Why a run was ended, or did not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error("it took longer than {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("it used more than {0}")]
    Exceeded(String),
    #[error("cannot run {program}: {source}")]
    Spawn { program: String, source: std::io::Error },
}

impl Sandbox {
    /// Where a mount is seen: without a sandbox everything is seen where it is.
    pub(super) fn inside(&self, mount: &Mount) -> PathBuf {
        match self {
            Self::Bubblewrap { .. } => mount.inside.clone(),
            Self::None => mount.host.clone(),
        }
    }

    /// Runs `job` to its end, or ends it at `deadline` or when it uses more than it may. `line` hears every line of its
    /// standard output as it comes.
    pub(super) async fn run(
        &self,
        job: &Job,
        limits: &BuildLimits,
        deadline: Instant,
        line: impl FnMut(&[u8]) + Send,
    ) -> Result<Ran, RunError> {
        let mut command = self.command(job, limits);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // A group of its own, so that all of it can be ended where no namespace does that.
        command.process_group(0);
        let spawn = |source| RunError::Spawn { program: job.program.display().to_string(), source };
        let mut child = command.spawn().map_err(spawn)?;
        let id = child.id();
        let mut tree = Tree { id };
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let read = async { tokio::join!(read_lines(stdout, line), read_tail(stderr)).1 };
        tokio::pin!(read);
        let disks: Vec<&Path> =
            job.mounts.iter().filter(|mount| mount.writable).map(|mount| mount.host.as_path()).collect();
        let watched = tokio::select! {
            errors = &mut read => Ok(errors),
            error = watch(id, limits, deadline, &disks) => Err(error),
        };
        let ended = match watched {
            Ok(errors) => {
                let status = tokio::select! {
                    status = child.wait() => status.map_err(spawn)?,
                    error = watch(id, limits, deadline, &disks) => {
                        end(&mut child, &tree).await;
                        return Err(error);
                    }
                };
                Ok(Ran { success: status.success(), errors })
            }
            Err(error) => {
                end(&mut child, &tree).await;
                Err(error)
            }
        };
        if matches!(self, Self::Bubblewrap { .. }) {
            // It was waited for, and its namespace is gone with it.
            tree.id = None;
        }
        ended
    }

    fn command(&self, job: &Job, limits: &BuildLimits) -> Command {
        let Self::Bubblewrap { bwrap, prlimit } = self else {
            let mut command = Command::new(&job.program);
            command.args(&job.arguments).env_clear().envs(job.environment.iter().cloned()).current_dir(&job.folder);
            return command;
        };
        let mut command = Command::new(prlimit);
        command
            .env_clear()
            .arg(format!("--as={}", limits.memory.saturating_mul(2).saturating_add(RESERVED)))
            .arg(format!("--fsize={}", limits.file))
            .arg(format!("--cpu={}", limits.wall_clock.as_secs().max(1).saturating_mul(cores())))
            .args(["--core=0", "--nofile=4096", "--"])
            .arg(bwrap)
            .args(["--unshare-user", "--unshare-all", "--disable-userns", "--die-with-parent", "--new-session"])
            .args(["--clearenv", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL", "--hostname", "builder"])
            .args(["--proc", "/proc", "--dev", "/dev", "--size", "268435456", "--tmpfs", "/tmp"]);
        if job.network {
            command.arg("--share-net");
        }
        for mount in system(job.network).iter().chain(&job.mounts) {
            let bind = if mount.writable { "--bind" } else { "--ro-bind" };
            command.arg(bind).arg(&mount.host).arg(&mount.inside);
        }
        for (inside, target) in system_links() {
            command.arg("--symlink").arg(target).arg(inside);
        }
        for (name, value) in &job.environment {
            command.arg("--setenv").arg(name).arg(value);
        }
        // Counted inside the namespace, so that the user's other processes do not matter.
        command.args(["--remount-ro", "/", "--chdir"]).arg(&job.folder).args(["--", "/usr/bin/prlimit"]);
        command.arg(format!("--nproc={}", limits.processes * 8)).arg("--").arg(&job.program).args(&job.arguments);
        command
    }
}

fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

/// What every program sees of the machine: libraries, compilers and, with the network, how to use it. No `/home`, `/root`,
/// `/var`, `/run` or `/usr/local`.
fn system(network: bool) -> Vec<Mount> {
    let always = ["/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/include", "/usr/share/gcc"];
    let etc = ["/etc/ld.so.cache", "/etc/alternatives"];
    let net = [
        "/etc/resolv.conf",
        "/etc/hosts",
        "/etc/nsswitch.conf",
        "/etc/ssl/certs",
        "/etc/pki/tls",
        "/usr/share/ca-certificates",
        "/usr/local/share/ca-certificates",
    ];
    let places = always.iter().chain(&etc).chain(if network { &net[..] } else { &[] });
    let mut mounts: Vec<Mount> = places
        .filter(|place| Path::new(place).exists())
        .map(|place| Mount { host: place.into(), inside: place.into(), writable: false })
        .collect();
    for place in ["/bin", "/lib", "/lib32", "/lib64"] {
        // On systems that have not merged them into `/usr`.
        if Path::new(place).is_dir() && !Path::new(place).is_symlink() {
            mounts.push(Mount { host: place.into(), inside: place.into(), writable: false });
        }
    }
    mounts
}

/// `/bin`, `/lib` and so on, where they are links into `/usr`.
fn system_links() -> Vec<(&'static str, PathBuf)> {
    ["/bin", "/sbin", "/lib", "/lib32", "/lib64"]
        .into_iter()
        .filter_map(|place| Some((place, std::fs::read_link(place).ok()?)))
        .collect()
}

/// Completes when the program has to be ended.
async fn watch(id: Option<u32>, limits: &BuildLimits, deadline: Instant, disks: &[&Path]) -> RunError {
    let mut ticks = tokio::time::interval(WATCH);
    let mut count = 0_u32;
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(deadline.into()) => return RunError::TimedOut(limits.wall_clock),
            _ = ticks.tick() => {}
        }
        let used = usage::of(id.unwrap_or_default());
        if used.memory > limits.memory {
            return RunError::Exceeded(format!("{} MiB of memory", limits.memory >> 20));
        }
        if used.processes > limits.processes {
            return RunError::Exceeded(format!("{} processes", limits.processes));
        }
        count = count.wrapping_add(1);
        if count.is_multiple_of(10) {
            let held: u64 = disks.iter().map(|disk| usage::disk(disk)).sum();
            if held > limits.disk {
                return RunError::Exceeded(format!("{} MiB of disk", limits.disk >> 20));
            }
        }
    }
}

/// Reads to the end and tells every line; a line longer than [`LINE`] is not told.
async fn read_lines(mut from: impl AsyncRead + Unpin, mut line: impl FnMut(&[u8]) + Send) {
    let mut begun = Vec::new();
    let mut too_long = false;
    let mut piece = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        for part in piece[..length].split_inclusive(|&byte| byte == b'\n') {
            too_long |= begun.len() + part.len() > LINE;
            if !too_long {
                begun.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                if !too_long {
                    line(&begun);
                }
                begun.clear();
                too_long = false;
            }
        }
    }
}

/// Reads to the end and keeps the last [`TAIL`] bytes.
async fn read_tail(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut piece = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        kept.extend_from_slice(&piece[..length]);
        if kept.len() > 2 * TAIL {
            kept.drain(..kept.len() - TAIL);
        }
    }
    kept.drain(..kept.len().saturating_sub(TAIL));
    kept
}

/// Ends the program, all of it, and waits for its end, so that its folder is free afterwards.
async fn end(child: &mut Child, tree: &Tree) {
    tree.kill();
    if let Err(error) = child.kill().await {
        tracing::warn!(%error, "a build's program could not be ended");
    }
}

/// A running program and what it started; ended when dropped.
struct Tree {
    id: Option<u32>,
}

impl Tree {
    /// The end of a namespace takes all in it along, but not while bubblewrap is still making it: then its second process waits
    /// for a word of the first, for ever. So each is ended by itself.
    fn kill(&self) {
        let process = |id: u32| i32::try_from(id).ok().map(Pid::from_raw);
        let Some((id, first)) = self.id.and_then(|id| Some((id, process(id)?))) else {
            return;
        };
        let below = usage::descendants(id);
        // What is gone already needs no end.
        let _ = killpg(first, Signal::SIGKILL);
        for below in below.into_iter().filter_map(process) {
            let _ = kill(below, Signal::SIGKILL);
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.kill();
    }
}
