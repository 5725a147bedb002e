//! The firmware of boards in QEMU: the story of a device that is a process, and what only a board can do.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;
use wasmbed_emulator::flash::{FlashFile, MPS2};
use wasmbed_emulator::machine::{Machine, QemuMachine};
use wasmbed_emulator::qemu::{self, Guest};

use super::count::Count;
use super::debugger::Debugger;
use super::lines::wait_for;
use super::repository::Repository;
use super::running::{Running, Up, signal, text};
use super::story::{manifest, ticker};

/// Devices, their boards, and what QEMU calls these.
const BOARDS: [(&str, &str, &str); 3] =
    [("m3", "Mps2An385", "mps2-an385"), ("m4", "Mps2An386", "mps2-an386"), ("m7", "Mps2An500", "mps2-an500")];

const FLEET: &str = "\
apiVersion: wasmbed.io/v1
kind: Gateway
metadata: {name: gateway-1}
spec: {endpoint: gateway-1.fleet.svc.cluster.local, config: {heartbeatInterval: 1s, connectionTimeout: 10s}}
---
apiVersion: wasmbed.github.io/v1alpha1
kind: Application
metadata: {name: ticker}
spec: {source: {path: apps/ticker}, targetSelector: {matchLabels: {site: north}}}
---
apiVersion: wasmbed.github.io/v1alpha1
kind: Application
metadata: {name: endless}
spec: {source: {path: apps/endless}, targetSelector: {matchLabels: {site: north}}}
";

/// It must cost its neighbour and its device nothing.
const ENDLESS: &str = "fn main() {\n    loop {\n        std::hint::spin_loop();\n    }\n}\n";

const UNDEFINED: [u8; 4] = [0x00, 0xDE, 0x00, 0xDE];
const BRANCH_TO_ITSELF: [u8; 4] = [0xFE, 0xE7, 0xFE, 0xE7];

/// The folder with the firmware, if it and QEMU are there. Where nothing may be skipped, which is where the environment has
/// `CI`, it is an error if they are not.
fn firmware() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_BIN_EXE_wasmbed")).ancestors().nth(2).unwrap().join("firmware");
    let is_there = |image: &str| folder.join(format!("{image}.elf")).is_file();
    let missing = if Command::new("qemu-system-arm").arg("--version").output().is_err() {
        "qemu-system-arm is not installed (./setup.sh)"
    } else if !BOARDS.iter().all(|(_, _, image)| is_there(image)) {
        "the boards' firmware is not built (make firmware)"
    } else {
        return Some(folder);
    };
    assert!(std::env::var_os("CI").is_none(), "{missing}");
    // Past captured output, so that a person sees it.
    std::io::stderr().write_all(format!("SKIPPED: {missing}, so no board is tried\n").as_bytes()).unwrap();
    None
}

#[test]
fn boards_run_what_is_pushed_beside_a_hog_and_go_on_after_power_loss() {
    if firmware().is_none() {
        return;
    }
    let folder = tempfile::Builder::new().prefix("wasmbed-e2e-").tempdir().unwrap();
    let repository = Repository::create(folder.path());
    repository.write("fleet.yaml", FLEET);
    for (name, board, _) in BOARDS {
        let device = format!(
            "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {{name: {name}, labels: {{site: north}}}}\n\
             spec: {{mcuType: {board}, gatewayId: gateway-1, emulation: {{backend: qemu, running: true}}}}\n"
        );
        repository.write(&format!("{name}.yaml"), &device);
    }
    for (name, source) in [("ticker", ticker("one")), ("endless", ENDLESS.to_owned())] {
        repository.write(&format!("apps/{name}/Cargo.toml"), &manifest(name));
        repository.write(&format!("apps/{name}/src/main.rs"), &source);
    }
    repository.push("The fleet");
    let mut up = Up::start(&folder.path().join("s"), &repository.bare);
    let mut logs: Vec<Running> = BOARDS.iter().map(|(name, ..)| up.logs(name)).collect();
    let say = |logs: &mut [Running], word: &str| {
        for log in logs {
            log.out.next(&format!("the word {word:?}"), |line| text(line)?.starts_with(word).then_some(()));
        }
    };
    say(&mut logs, "one ");
    up.wait_until_ready();

    repository.write("apps/ticker/src/main.rs", &ticker("two"));
    repository.push("Say two");
    say(&mut logs, "two ");
    repository.revert();
    say(&mut logs, "one ");
    let mut count = Count::of("one", &mut logs[0].out);
    count.goes_on(&mut logs[0].out);

    // The end of an emulator is loss of power: what runs stands in flash, and runs before anybody is asked.
    for (_, _, machine) in BOARDS {
        signal(emulator(&up, machine), Signal::SIGKILL);
    }
    say(&mut logs, "one 0");
    for (name, ..) in BOARDS {
        let look = || up.of("devices", name)["status"].clone();
        wait_for(&format!("{name} is in session and runs both"), look, |status| {
            let applications = status["applications"].as_array();
            let both = applications.is_some_and(|all| all.len() == 2 && all.iter().all(is_running));
            status["phase"] == "Connected" && both
        });
    }
    assert!(up.process.interrupt(), "`wasmbed up` ends well at Ctrl-C");
}

fn is_running(application: &Value) -> bool {
    application["phase"] == "Running"
}

/// The process of a board's emulator, started by `wasmbed up`.
fn emulator(up: &Up, machine: &str) -> u32 {
    let machine = format!("{machine},memory-backend");
    let look = || {
        let has_it = |id: &u32| {
            let arguments = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            arguments.split(|byte| *byte == 0).any(|argument| argument.starts_with(machine.as_bytes()))
        };
        up.children().into_iter().find(has_it)
    };
    wait_for(&format!("the emulator of {machine} runs"), look, Option::is_some).unwrap()
}

/// A board on a flash file of its own, with no gateway in reach.
struct Alone {
    folder: tempfile::TempDir,
    image: PathBuf,
}

impl Alone {
    const MACHINE: QemuMachine = QemuMachine::Mps2An386;

    fn new(firmware: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut flash = FlashFile::open(&folder.path().join(qemu::FLASH), MPS2).unwrap();
        let provisioning = wasmbed_agent::Provisioning {
            seed: [1; 32],
            root: [2; 32],
            fleet: "fleet".into(),
            gateways: vec![qemu::gateway_address(0)],
            pairing: None,
            address: None,
        };
        flash.provision(&provisioning).unwrap();
        flash.reseed().unwrap();
        Self { folder, image: firmware.join(format!("{}.elf", Self::MACHINE.name())) }
    }

    fn flash(&self) -> PathBuf {
        self.folder.path().join(qemu::FLASH)
    }

    /// The record of the seed, as it is in flash now.
    fn seed(&self) -> Vec<u8> {
        std::fs::read(self.flash()).unwrap()[4096..][..40].to_vec()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("debugger.sock")
    }

    fn start(&self) -> Running {
        let region = Machine::Qemu(Self::MACHINE).region().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_wasmbed"));
        let guest = Guest { machine: Self::MACHINE, image: &self.image, gateways: &[], program, region };
        let mut command = Command::new("qemu-system-arm");
        command.current_dir(self.folder.path()).args(qemu::arguments(&guest)).stderr(Stdio::null());
        let socket = self.socket();
        command.args(["-chardev", &format!("socket,path={},server=on,wait=off,id=debugger", socket.display())]);
        command.args(["-gdb", "chardev:debugger"]);
        Running::start("the board", &mut command)
    }
}

fn starts(board: &mut Running) {
    board.out.next("it starts", |line| line.contains("started: Mps2An386").then_some(()));
}

#[test]
fn a_fault_is_told_after_the_reset_and_so_is_a_device_that_hangs() {
    let Some(firmware) = firmware() else { return };
    for (instruction, told) in [(UNDEFINED, "hard fault at"), (BRANCH_TO_ITSELF, "the watchdog expired")] {
        let alone = Alone::new(&firmware);
        let mut board = alone.start();
        starts(&mut board);
        let first = alone.seed();
        Debugger::attach(&alone.socket()).break_next_instruction(instruction);
        board.out.next("it says why it is reset", |line| line.starts_with("ERROR").then_some(line.contains(told)));
        starts(&mut board);
        let expected = format!("before its last reset the device said: {told}");
        board.out.next("the new start tells of the last one", |line| line.contains(&expected).then_some(()));
        let second = alone.seed();
        assert!(second.starts_with(b"WBSE") && second != first, "no two starts have the same random numbers");
        let erased = std::fs::read(alone.flash()).unwrap()[2 * 4096..3 * 4096].iter().all(|byte| *byte == 0xFF);
        assert!(erased, "it is told once");
    }
}

#[test]
fn a_board_without_identity_or_seed_says_so_and_does_nothing_else() {
    let Some(firmware) = firmware() else { return };
    for (unit, problem) in [(0, "no identity: it is damaged"), (1, "no seed for random numbers: it is damaged")] {
        let alone = Alone::new(&firmware);
        let mut flash = std::fs::read(alone.flash()).unwrap();
        flash[unit * 4096..][..16].fill(0);
        std::fs::write(alone.flash(), flash).unwrap();
        let mut board = alone.start();
        board.out.next(problem, |line| {
            assert!(!line.contains("started"), "{line}");
            line.contains(problem).then_some(())
        });
        let untouched = std::fs::read(alone.flash()).unwrap()[3 * 4096..][..4096].iter().all(|byte| *byte == 0xFF);
        assert!(untouched, "not even a store was made");
    }
}
