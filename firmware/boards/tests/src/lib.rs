//! Builds images for boards on the host, runs them in QEMU within a bound of time, and reads what they say.

pub mod budgets;
pub mod figures;
pub mod sizes;

use std::collections::BTreeMap;
use std::env;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Several minutes of a busy machine; the image takes ten seconds of processor time.
const LONGEST: Duration = Duration::from_secs(600);

/// A machine of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// A Cortex-M3.
    Mps2An385,
    /// A Cortex-M3 as some are: without an MPU.
    Mps2An385WithoutMpu,
    /// A Cortex-M4 with an FPU.
    Mps2An386,
    /// A Cortex-M7 with an FPU.
    Mps2An500,
}

impl Machine {
    /// QEMU's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mps2An385 | Self::Mps2An385WithoutMpu => "mps2-an385",
            Self::Mps2An386 => "mps2-an386",
            Self::Mps2An500 => "mps2-an500",
        }
    }

    /// How QEMU is told what the machine lacks.
    fn without(self) -> &'static [&'static str] {
        match self {
            Self::Mps2An385WithoutMpu => &["-global", "cortex-m3-arm-cpu.has-mpu=off"],
            Self::Mps2An385 | Self::Mps2An386 | Self::Mps2An500 => &[],
        }
    }

    /// Its target.
    pub fn target(self) -> &'static str {
        match self {
            Self::Mps2An385 | Self::Mps2An385WithoutMpu => "thumbv7m-none-eabi",
            Self::Mps2An386 | Self::Mps2An500 => "thumbv7em-none-eabihf",
        }
    }
}

/// What the bench said.
#[derive(Debug)]
pub struct Bench {
    /// The trials that it passed.
    pub passed: Vec<String>,
    /// What it measured.
    pub figures: BTreeMap<String, u64>,
    /// Where the modules are that it ran, `NAME.wasm`.
    pub modules: PathBuf,
}

/// Builds the bench for that machine's target, and says where it is, and where its modules are.
fn build(machine: Machine) -> (PathBuf, PathBuf) {
    // Cargo's own lock would do, but its message would stand in the output.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package is in the workspace");
    // A folder of its own: Cargo holds the lock of the one that this test was built in while it runs it with `cargo test`.
    let folder = workspace.join("target/images");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--locked", "--package", "wasmbed-bench", "--profile", "bench"])
        .args(["--message-format", "json-render-diagnostics", "--target"])
        .arg(machine.target())
        .arg("--target-dir")
        .arg(&folder)
        .current_dir(workspace)
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "the image does not build; are the target {} and gcc-arm-none-eabi here?",
        machine.target()
    );
    let messages = String::from_utf8_lossy(&output.stdout);
    let modules = messages.lines().find_map(built).expect("cargo says where the image's build script wrote to");
    (folder.join(machine.target()).join("release/wasmbed-bench"), modules)
}

/// Where the bench's build script wrote to, if that message of Cargo's says so.
fn built(message: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let is_it = message["reason"] == "build-script-executed"
        && message["package_id"].as_str().is_some_and(|id| id.contains("wasmbed-bench"));
    is_it.then(|| message["out_dir"].as_str().map(PathBuf::from)).flatten()
}

/// QEMU, which does not outlive its test.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds and runs the bench on that machine, where every instruction takes a nanosecond of its time, and returns what it
/// said.
///
/// # Panics
/// It does not build, does not end in time, or does not end well.
pub fn bench(machine: Machine) -> Bench {
    let (image, modules) = build(machine);
    let child = Command::new("qemu-system-arm")
        .args(["-M", machine.name(), "-display", "none", "-monitor", "none", "-serial", "none", "-nic", "none"])
        .args(machine.without())
        .args(["-icount", "shift=0", "-chardev", "stdio,id=out"])
        .args(["-semihosting-config", "enable=on,target=native,chardev=out", "-kernel"])
        .arg(image)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("qemu-system-arm is installed");
    let mut qemu = Qemu(child);
    let mut output = qemu.0.stdout.take().expect("it is piped");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text)
    });
    let until = Instant::now() + LONGEST;
    let status = loop {
        if let Some(status) = qemu.0.try_wait().expect("it is our child") {
            break Some(status);
        }
        if Instant::now() > until {
            break None;
        }
        thread::sleep(Duration::from_millis(20));
    };
    drop(qemu);
    let text = reader.join().expect("the reader does not panic").expect("QEMU's output is text");
    let well = status.is_some_and(|status| status.success()) && text.lines().last() == Some("done");
    assert!(well, "{machine:?}: {} after:\n{text}", status.map_or("out of time".to_owned(), |s| s.to_string()));
    let figure = |line: &str| {
        let (name, value) = line.strip_prefix("figure ")?.split_once(' ')?;
        Some((name.to_owned(), value.parse().expect("a figure is a number")))
    };
    Bench {
        passed: text.lines().filter_map(|line| line.strip_prefix("passed ").map(str::to_owned)).collect(),
        figures: text.lines().filter_map(figure).collect(),
        modules,
    }
}
