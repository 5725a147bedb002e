//! The guest of these tests, compiled when they run, and a folder to play it in.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use tempfile::TempDir;
use wasmbed_agent::Provisioning;
use wasmbed_emulator::machine::QemuMachine;

/// Tells the guest to crash.
const CRASH: [u8; 4] = [0x58; 4];
/// Where that is told, in the flash file.
const COMMAND: u64 = 0x3004;

/// A device's folder and a firmware folder beside it.
pub struct Guest {
    folder: TempDir,
    machine: QemuMachine,
}

/// Says that a test is skipped, past what `cargo test` keeps of the output of a test that passes.
pub fn skipped(test: &str, why: &str) {
    std::io::stderr().write_all(format!("SKIPPED: {test}: {why}\n").as_bytes()).unwrap();
}

impl Guest {
    /// Compiles the guest as the firmware of `machine`; none, and says why, where something for it is missing.
    pub fn new(test: &str, machine: QemuMachine) -> Option<Self> {
        for program in ["qemu-system-arm", "arm-none-eabi-gcc"] {
            if Command::new(program).arg("--version").output().is_err() {
                assert!(std::env::var_os("CI").is_none(), "{program} is not installed (./setup.sh); CI skips nothing");
                skipped(test, &format!("{program} is not installed"));
                return None;
            }
        }
        let guest = Self { folder: tempfile::tempdir().unwrap(), machine };
        std::fs::create_dir_all(guest.firmware()).unwrap();
        std::fs::create_dir_all(guest.device()).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulation/guest.c");
        // Where the machine has the memory that it starts from.
        let (vectors, text, define) = match machine {
            QemuMachine::NetduinoPlus2 => ("0x08000000", "0x08000100", "-DNETDUINO"),
            _ => ("0", "0x100", "-DMPS2"),
        };
        let compiled = Command::new("arm-none-eabi-gcc")
            .args(["-mcpu=cortex-m3", "-mthumb", "-Os", "-Wall", "-Werror", "-ffreestanding", "-nostdlib"])
            .args(["-Wl,--build-id=none", "-Wl,-e,start", define])
            .args([format!("-Wl,--section-start=.vectors={vectors}"), format!("-Wl,-Ttext={text}")])
            .arg("-o")
            .arg(guest.image())
            .arg(source)
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        std::fs::write(guest.device().join("provisioning.cbor"), provisioning().encode().unwrap()).unwrap();
        Some(guest)
    }

    /// What it was compiled for.
    pub fn machine(&self) -> QemuMachine {
        self.machine
    }

    /// The folder with the firmware image.
    pub fn firmware(&self) -> PathBuf {
        self.folder.path().join("firmware")
    }

    /// The firmware image.
    pub fn image(&self) -> PathBuf {
        self.firmware().join(format!("{}.elf", self.machine.name()))
    }

    /// When the image was made.
    pub fn written(&self) -> Option<SystemTime> {
        std::fs::metadata(self.image()).and_then(|file| file.modified()).ok()
    }

    /// The device's folder.
    pub fn device(&self) -> PathBuf {
        self.folder.path().join("device")
    }

    /// The device's flash.
    pub fn flash(&self) -> PathBuf {
        self.device().join("flash.bin")
    }

    /// Where its UART's log goes.
    pub fn log(&self) -> PathBuf {
        self.device().join("uart.log")
    }

    /// Has the guest crash. It and this write to the same memory.
    pub fn crash(&self) {
        let flash = File::options().write(true).open(self.flash()).unwrap();
        flash.write_all_at(&CRASH, COMMAND).unwrap();
    }
}

/// An identity; nobody looks at it.
pub fn provisioning() -> Provisioning {
    Provisioning {
        seed: [1; 32],
        root: [2; 32],
        fleet: "fleet".to_owned(),
        gateways: vec!["127.0.0.1:1".to_owned()],
        pairing: None,
        address: None,
    }
}

/// What the guest says at a start.
#[derive(Debug, Eq, PartialEq)]
pub struct Start {
    pub number: u32,
    pub is_provisioned: bool,
    pub seed: String,
}

impl Start {
    /// Reads the line that the guest prints at a start.
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.strip_prefix("start ")?.split(' ').collect();
        let [number, state, "seed", seed] = words[..] else { return None };
        let number = u32::from_str_radix(number, 16).ok()?;
        Some(Self { number, is_provisioned: state == "provisioned", seed: seed.to_owned() })
    }
}
