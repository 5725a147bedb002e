//! What a board does about faults of its own: with no gateway in reach, on a flash file that the test made.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wasmbed_emulator::flash::{FlashFile, MPS2};
use wasmbed_emulator::machine::{Machine, QemuMachine};
use wasmbed_emulator::qemu::{self, Guest};

use super::debugger::Debugger;
use super::firmware::images;
use super::running::Running;

const UNDEFINED: [u8; 4] = [0x00, 0xDE, 0x00, 0xDE];
const BRANCH_TO_ITSELF: [u8; 4] = [0xFE, 0xE7, 0xFE, 0xE7];

/// A board on a flash file of its own, with no gateway in reach.
struct Alone {
    folder: tempfile::TempDir,
    image: PathBuf,
}

impl Alone {
    const MACHINE: QemuMachine = QemuMachine::Mps2An386;

    fn new(images: &Path) -> Self {
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
        Self { folder, image: images.join(format!("{}.elf", Self::MACHINE.name())) }
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
        let region = Machine::Qemu(Self::MACHINE).region();
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

/// Breaks what the board executes next, and waits until it says why it is reset. Now and then QEMU names a place that the board does
/// not come by again soon: then it goes on as before, says so, and is to be broken elsewhere.
fn breaks(board: &mut Running, alone: &Alone, instruction: [u8; 4], told: &str) -> bool {
    Debugger::attach(&alone.socket()).break_next_instruction(instruction);
    board.out.next("it says why it is reset", |line| match line.starts_with("ERROR") {
        true => {
            assert!(line.contains(told), "{line}");
            Some(true)
        }
        false => line.contains("no session").then_some(false),
    })
}

#[test]
fn a_fault_is_told_after_the_reset_and_so_is_a_device_that_hangs() {
    let Some(images) = images("a fault") else { return };
    for (instruction, told) in [(UNDEFINED, "hard fault at"), (BRANCH_TO_ITSELF, "the watchdog expired")] {
        let alone = Alone::new(images);
        let mut board = alone.start();
        starts(&mut board);
        let first = alone.seed();
        while !breaks(&mut board, &alone, instruction, told) {}
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
    let Some(images) = images("a missing identity") else { return };
    for (unit, problem) in [(0, "no identity: it is damaged"), (1, "no seed for random numbers: it is damaged")] {
        let alone = Alone::new(images);
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
