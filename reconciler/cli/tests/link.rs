//! `wasmbed link` as a process: a board on a Unix socket, and what a program reads.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use wasmbed_protocol::link::{DeviceEvent, DeviceLink, End, FrameBuffer, Reason};

/// Killed when the test ends, however it ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The board's end of the line.
struct Board {
    link: DeviceLink,
    line: UnixStream,
    started: Instant,
}

impl Board {
    fn event(&mut self) -> DeviceEvent {
        let mut frame = FrameBuffer::new();
        let mut bytes = [0; 1024];
        loop {
            let now = self.started.elapsed().as_millis() as u64;
            assert!(now < 60_000, "nothing happens on the link");
            if let Some(event) = self.link.next_event() {
                return event;
            }
            while let Some(bytes) = self.link.transmit(now, &mut frame) {
                self.line.write_all(bytes).unwrap();
            }
            match self.line.read(&mut bytes) {
                Ok(0) => panic!("the line ended"),
                Ok(count) => self.link.receive(&bytes[..count], now),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_board_reaches_its_gateway_and_a_program_reads_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("uart");
    let port = UnixListener::bind(&path).unwrap();
    let gateway = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gateway.local_addr().unwrap().to_string();
    let mut process = Command::new(env!("CARGO_BIN_EXE_wasmbed"))
        .args(["link", "--output", "json", "--gateway", &address, "--port"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .map(Process)
        .unwrap();
    let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
    let mut event = || serde_json::from_str::<Value>(&lines.next().expect("it says more").unwrap()).unwrap();
    assert_eq!(event()["event"], "portOpened");
    let (line, _) = port.accept().unwrap();
    line.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut board = Board { link: DeviceLink::new(1), line, started: Instant::now() };
    board.link.log(b"booted\n");
    board.link.open("elsewhere.example:1", 0).unwrap();
    assert_eq!(board.event(), DeviceEvent::Ended(End::Refused(Reason::NotAllowed)));
    board.link.open(&address, 0).unwrap();
    assert_eq!(board.event(), DeviceEvent::Opened);
    let (_stream, _) = gateway.accept().unwrap();
    let said: Vec<Value> = (0..3).map(|_| event()).collect();
    let of = |kind: &str| said.iter().find(|event| event["event"] == kind).unwrap_or_else(|| panic!("{said:?}"));
    assert_eq!(of("log")["text"], "booted");
    assert_eq!(of("refused")["address"], "elsewhere.example:1");
    assert_eq!(of("opened")["address"], address);
    kill(Pid::from_raw(process.0.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(board.event(), DeviceEvent::Ended(End::ClosedByPeer(Reason::ShuttingDown)));
    let ended = event();
    assert_eq!((&ended["event"], &ended["reason"]), (&"ended".into(), &"the link was shut down".into()));
    assert!(process.0.wait().unwrap().success());
}

#[test]
fn what_is_no_port_is_an_error_that_says_what_to_do() {
    let output = Command::new(env!("CARGO_BIN_EXE_wasmbed"))
        .args(["link", "--gateway", "gateway.example:4433", "--port", "/dev/null"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("/dev/null is neither a serial port"), "{said}");
}
