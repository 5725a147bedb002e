//! Emulated boards, with a real QEMU: what an emulator keeps, restarts and ends. The guest is a small program of its own,
//! compiled when a test runs; where a compiler for it or QEMU is missing, the tests say so and are skipped.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod guest;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use guest::{Guest, Start, provisioning, skipped};
use wasmbed_emulator::backends::{Backends, Image};
use wasmbed_emulator::machine::{Machine, QemuMachine, RenodeMachine};
use wasmbed_emulator::plan::Emulated;
use wasmbed_emulator::{EmulatedDevice, Playing, StartError, Tail};

/// Far beyond what anything here takes.
const LIMIT: Duration = Duration::from_secs(120);

fn device(guest: &Guest) -> EmulatedDevice {
    EmulatedDevice {
        name: "device test".to_owned(),
        emulated: Emulated {
            machine: Machine::Qemu(guest.machine()),
            emulator: "/usr/bin/env".into(),
            image: Image { path: guest.image(), written: guest.written() },
        },
        provisioning: provisioning(),
        gateways: vec!["127.0.0.1:1".parse().unwrap()],
        folder: guest.device(),
        output: guest.log(),
        program: env!("CARGO_BIN_EXE_wasmbed").into(),
    }
}

fn play(guest: &Guest) -> Playing {
    let mut device = device(guest);
    device.emulated.emulator = qemu();
    device.start().unwrap()
}

fn qemu() -> std::path::PathBuf {
    Backends::find(&[]).qemu.unwrap()
}

async fn next_start(tail: &mut Tail) -> Start {
    let wait = async {
        loop {
            if let Some(start) = tail.next_lines().await.unwrap().iter().find_map(|line| Start::parse(line)) {
                return start;
            }
        }
    };
    tokio::time::timeout(LIMIT, wait).await.expect("the guest starts")
}

#[tokio::test]
async fn a_board_that_crashes_is_started_again_with_its_flash_and_a_fresh_seed() {
    let Some(guest) = Guest::new("a_board_that_crashes_is_started_again", QemuMachine::Mps2An386) else { return };
    let playing = play(&guest);
    let mut tail = Tail::from_start(&guest.log());
    let first = next_start(&mut tail).await;
    assert_eq!((first.number, first.is_provisioned), (0, true), "its flash was erased, but for its identity");
    guest.crash();
    let second = next_start(&mut tail).await;
    assert_eq!((second.number, second.is_provisioned), (1, true), "its flash is kept");
    assert_ne!(first.seed, second.seed, "no seed is used twice");
    let state = playing.state().borrow().clone();
    assert_eq!(state.restarts, 1);
    assert!(state.last_end.unwrap().contains("signal"), "QEMU gave up");
    let id = state.id.unwrap();
    playing.stop().await;
    assert!(!Path::new(&format!("/proc/{id}")).exists(), "it is gone once it was stopped");
}

#[tokio::test]
async fn a_board_that_is_stopped_and_started_has_the_flash_it_had() {
    let Some(guest) = Guest::new("a_board_that_is_stopped_and_started", QemuMachine::Mps2An386) else { return };
    let mut seeds = std::collections::BTreeSet::new();
    for number in 0..3 {
        let mut tail = Tail::from_end(&guest.log());
        let playing = play(&guest);
        let start = next_start(&mut tail).await;
        assert_eq!(start.number, number);
        assert!(seeds.insert(start.seed));
        playing.stop().await;
    }
}

#[tokio::test]
async fn a_board_whose_flash_is_damaged_is_not_started_and_the_flash_is_left_alone() {
    let Some(guest) = Guest::new("a_board_whose_flash_is_damaged", QemuMachine::Mps2An386) else { return };
    std::fs::write(guest.flash(), "what a full disk left").unwrap();
    let error = device(&guest).start().expect_err("its flash is short");
    assert!(matches!(error, StartError::Flash(_)));
    assert!(error.to_string().contains("21 bytes instead of 16777216"), "{error}");
    assert_eq!(std::fs::read(guest.flash()).unwrap(), b"what a full disk left");
    assert!(!guest.log().exists(), "nothing was started");
}

#[tokio::test]
async fn a_board_with_a_volatile_store_starts_anew_after_a_reset_with_its_identity_and_a_fresh_seed() {
    let name = "a_board_with_a_volatile_store_starts_anew_after_a_reset";
    let Some(guest) = Guest::new(name, QemuMachine::NetduinoPlus2) else { return };
    let playing = play(&guest);
    let mut tail = Tail::from_start(&guest.log());
    let (first, second) = (next_start(&mut tail).await, next_start(&mut tail).await);
    assert!(first.is_provisioned && second.is_provisioned, "its records are loaded: {first:?}, {second:?}");
    assert_ne!(first.seed, second.seed, "no seed is used twice");
    assert_eq!(playing.state().borrow().last_end.as_deref(), Some("exit status: 0"), "a reset ends QEMU");
    playing.stop().await;
}

/// With a real Renode: each script is taken to its end, its last line being `start`, and Renode ends when it should.
#[tokio::test]
async fn every_machine_of_renode_starts_and_stops() {
    let name = "every_machine_of_renode_starts_and_stops";
    let Some(renode) = Backends::find(&[]).renode else {
        skipped(name, "renode is not installed");
        return;
    };
    for renodes in RenodeMachine::ALL {
        let machine = Machine::Renode(renodes);
        let Some(guest) = Guest::new(name, QemuMachine::Mps2An385) else { return };
        let mut device = device(&guest);
        device.emulated.machine = machine;
        device.emulated.emulator.clone_from(&renode);
        let playing = device.start().unwrap();
        let mut log = Tail::from_start(&guest.device().join("renode.log"));
        let started =
            async { while !log.next_lines().await.unwrap().iter().any(|line| line.contains("Machine started")) {} };
        tokio::time::timeout(LIMIT, started).await.unwrap_or_else(|_| panic!("{}: see renode.log", machine.name()));
        let state = playing.state().borrow().clone();
        assert_eq!(state.restarts, 0, "{}: {:?}", machine.name(), state.last_end);
        let line = if renodes.log().is_some() { "uart.txt" } else { "link.tty" };
        assert!(guest.device().join(line).exists(), "{}: its UART goes to {line}", machine.name());
        playing.stop().await;
    }
}

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn emulate(guest: &Guest) -> Killed {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasmbed"));
    command.args(["emulate", "--board", "mps2-an386", "--dir"]).arg(guest.device());
    command.arg("--firmware").arg(guest.firmware());
    Killed(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap())
}

/// The children of a process, by what the kernel says.
fn children(parent: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let children = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    tasks
        .flat_map(|task| children(task.unwrap()).split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

/// Whether the process runs; one that has ended and that nobody waited for does not.
fn runs(id: u32) -> bool {
    let state = |stat: String| stat.rsplit_once(')').map(|(_, rest)| rest.trim_start().chars().next());
    match std::fs::read_to_string(format!("/proc/{id}/stat")).ok().and_then(state).flatten() {
        Some(state) => state != 'Z' && state != 'X',
        None => false,
    }
}

#[test]
fn the_emulator_killed_takes_qemu_with_it_and_by_hand_the_uart_is_on_the_terminal() {
    use std::io::{BufRead, BufReader};

    let Some(guest) = Guest::new("the_emulator_killed_takes_qemu_with_it", QemuMachine::Mps2An386) else { return };
    for number in 0..2 {
        let mut emulator = emulate(&guest);
        let mut lines = BufReader::new(emulator.0.stdout.take().unwrap()).lines();
        let start = lines.find_map(|line| Start::parse(&line.unwrap())).expect("the guest starts");
        assert_eq!(start.number, number, "the flash outlives the emulator");
        let children = children(emulator.0.id());
        let [qemu] = children[..] else { panic!("one child: {children:?}") };
        let program = std::fs::read_link(format!("/proc/{qemu}/exe")).unwrap();
        assert!(program.file_name().unwrap().to_str().unwrap().starts_with("qemu-system"), "{program:?}");
        // SIGKILL: nothing in the emulator can do anything about it.
        emulator.0.kill().unwrap();
        emulator.0.wait().unwrap();
        let begin = std::time::Instant::now();
        while runs(qemu) {
            assert!(begin.elapsed() < LIMIT, "QEMU {qemu} outlives its emulator");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_guarded_program_whose_parent_is_gone_already_never_starts() {
    let output = Command::new(env!("CARGO_BIN_EXE_wasmbed"))
        .args(["with-parent", "1", "--", "/bin/echo", "it runs"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("the process 1 that started this one is gone"));
}

#[test]
fn a_guarded_program_has_no_more_memory_than_it_is_given() {
    let output = Command::new(env!("CARGO_BIN_EXE_wasmbed"))
        .arg("with-parent")
        .arg(std::process::id().to_string())
        .args(["--memory", "300000000", "--", "/bin/sh", "-c", "ulimit -v"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "292968\n");
}

/// What Renode's guests live in, with a shell in Renode's place.
#[test]
fn in_a_network_of_its_own_a_program_reaches_its_gateway_and_nothing_else() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    let name = "in_a_network_of_its_own_a_program_reaches_its_gateway";
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("gateway-0.sock")).unwrap();
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let script = format!(
        "ip -brief address show dev tap0; ls /sys/class/net >/dev/null; \
         exec 3<>/dev/tcp/10.0.2.100/4433 && echo hello >&3 && read -r answer <&3 && echo \"$answer\"; \
         if (exec 4<>/dev/tcp/127.0.0.1/{}) 2>/dev/null; then echo reached elsewhere; fi; exit 7",
        elsewhere.local_addr().unwrap().port(),
    );
    let child = Command::new(env!("CARGO_BIN_EXE_wasmbed"))
        .args(["in-network", "--parent"])
        .arg(std::process::id().to_string())
        .args(["--gateway", "gateway-0.sock", "--", "/bin/bash", "-c", &script])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let gateway = std::thread::spawn(move || {
        let (mut guest, _) = listener.accept().unwrap();
        let mut heard = [0; 6];
        guest.read_exact(&mut heard).unwrap();
        guest.write_all(b"welcome\n").unwrap();
        heard
    });
    let output = child.wait_with_output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let no_tap = error.contains("ip tuntap add") && !Path::new("/dev/net/tun").exists();
    if error.contains("may make no network namespace") || no_tap {
        skipped(name, &error);
        return;
    }
    assert_eq!(output.status.code(), Some(7), "{out}{error}");
    assert!(out.contains("10.0.2.100/24") && out.ends_with("\nwelcome\n"), "{out}{error}");
    assert_eq!(&gateway.join().unwrap(), b"hello\n");
}

#[test]
fn a_board_or_an_image_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let said = |board: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_wasmbed"))
            .args(["emulate", "--board", board, "--dir"])
            .arg(folder.path())
            .arg("--firmware")
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said("esp32").contains("esp32 is not a board that an emulator plays; there are mps2-an385, "));
    if Backends::find(&[]).qemu.is_some() {
        assert!(said("mps2-an386").contains("there is no firmware image mps2-an386.elf in "));
    } else {
        skipped("a part of a_board_or_an_image_that_is_missing_is_named", "qemu-system-arm is not installed");
    }
}
