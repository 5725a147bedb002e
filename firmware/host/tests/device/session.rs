//! A device process, a gateway over TCP, WebAssembly that really runs.

use std::fs;
use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use wasmbed_device::Swarm;
use wasmbed_protocol::DeviceMessage;
use wasmbed_protocol::message::{Level, Phase};

use crate::child::{PATIENCE, Process, Role, eventually};
use crate::server::{BLINKER, Server, built, hellos, printed};

/// Never gives up the CPU by itself.
const ENDLESS: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))"#;

/// What was reported of an application, in order.
fn phases(heard: &[DeviceMessage], application: &str) -> Vec<Phase> {
    let reports = heard.iter().filter_map(|message| match message {
        DeviceMessage::Report(report) if report.application == application => Some(report.phase),
        _ => None,
    });
    reports.collect()
}

#[test]
fn a_device_runs_what_it_is_assigned_and_goes_on_after_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::new();
    server.provision(dir.path());
    let first = built("blinker", &BLINKER.replace("TEXT", "one!"));
    server.assign(std::slice::from_ref(&first));
    let process = Process::start(Role::Device, dir.path());

    server.until("the first output", printed("Hello from one!"));
    server.until("what it publishes", |heard| {
        heard.iter().any(|message| matches!(message, DeviceMessage::Output(output) if output.topic == "t/x"))
    });
    assert_eq!(fs::read_to_string(dir.path().join("pins/led0")).unwrap(), "1\n");
    // Some megabytes: the ceiling is wide, as this build is not optimised; `make bench` measures what is released.
    let own = process.memory();
    println!("memory of a device with one application: {} KiB of its own", own / 1024);
    assert!(own < 16 * 1024 * 1024, "{own}");
    server.until("that it is confirmed", |heard| {
        heard.iter().any(|message| matches!(message, DeviceMessage::Report(report) if report.phase == Phase::Running))
    });

    // Killed and started again it runs what it ran, and fetches nothing.
    process.kill();
    let fetched = server.plan.fetched;
    server.plan.heard.clear();
    let process = Process::start(Role::Device, dir.path());
    server.until("the output after the boot", printed("Hello from one!"));
    assert_eq!(server.plan.fetched, fetched);

    // A new release beside an application that never ends by itself.
    let second = built("blinker", &BLINKER.replace("TEXT", "two!"));
    let endless = built("endless", ENDLESS);
    server.assign(&[second, endless.clone()]);
    server.until("the second output", printed("Hello from two!"));
    server.until("that the endless one runs", |heard| phases(heard, "endless").contains(&Phase::Running));

    // A revert fetches nothing either.
    let fetched = server.plan.fetched;
    server.plan.heard.clear();
    server.assign(&[first, endless]);
    server.until("the first output again", printed("Hello from one!"));
    assert_eq!(server.plan.fetched, fetched);
    let since = phases(&server.plan.heard, "endless");
    assert!(since.iter().all(|phase| *phase == Phase::Running), "it runs on: {since:?}");

    // It ends in an orderly way, endless loops and all.
    process.signal(Signal::SIGTERM);
    let (told, well) = process.wait();
    assert!(well && told.iter().any(|line| line.contains("ended Ok(())")), "{told:?}");
    let log = fs::read_to_string(dir.path().join("stderr")).unwrap();
    assert!(log.contains("Hello from one!") && log.contains("application=\"blinker\""), "{log}");
}

#[test]
fn a_device_comes_back_when_its_gateway_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::new();
    server.provision(dir.path());
    let _process = Process::start(Role::Device, dir.path());
    for round in 1..=3 {
        server.until("a Hello", |heard| hellos(heard) == round);
        server.current = None;
    }
}

#[test]
fn a_gateway_that_sends_garbage_or_nothing_but_garbage_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::new();
    server.provision(dir.path());
    let process = Process::start(Role::Device, dir.path());
    let mut before = None;
    for _ in 0..2 {
        let mut accepted = None;
        eventually("the device connects", || {
            accepted = server.listener.accept().ok();
            accepted.is_some()
        });
        let (mut stream, _) = accepted.unwrap();
        before.get_or_insert_with(|| process.memory());
        stream.set_nonblocking(false).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let garbage = [0x5A; 64 * 1024];
        let deadline = Instant::now() + PATIENCE;
        let end = loop {
            assert!(Instant::now() < deadline, "it reads garbage and does not hang up");
            if let Err(error) = stream.write_all(&garbage) {
                break error.kind();
            }
        };
        assert!(!matches!(end, ErrorKind::WouldBlock | ErrorKind::TimedOut), "it neither reads nor hangs up");
    }
    server.until("a Hello after all", |heard| hellos(heard) == 1);
    let grown = process.memory().saturating_sub(before.unwrap());
    // What a session takes in a build that is not optimised, many times over; garbage that is kept would be more.
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes more than before the garbage");
}

#[test]
fn a_module_that_does_not_run_is_reported_and_not_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::new();
    server.provision(dir.path());
    let good = built("blinker", &BLINKER.replace("TEXT", "one!"));
    let bad =
        built("bad", r#"(module (import "env" "x" (func)) (memory (export "memory") 1) (func (export "_start")))"#);
    server.assign(&[good, bad]);
    let _process = Process::start(Role::Device, dir.path());
    server.until("the good one", printed("Hello from one!"));
    server.until("why the bad one does not run", |heard| {
        heard.iter().any(|message| match message {
            DeviceMessage::Report(report) if report.application == "bad" && report.phase == Phase::Failed => {
                report.error.as_ref().is_some_and(|error| error.contains("env"))
            }
            _ => false,
        })
    });
}

#[test]
fn a_full_disk_is_reported_and_the_download_goes_on_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::new();
    server.provision(dir.path());
    let process = Process::start(Role::Device, dir.path());
    server.until("a Hello", |heard| hellos(heard) == 1);
    process.kill();
    // The log has room, the modules behind it have not.
    let process = Process::start_limited(Role::Device, dir.path(), u64::from(wasmbed_device::geometry().log.end()));
    server.assign(&[built("blinker", &BLINKER.replace("TEXT", "one!"))]);
    server.until("what is wrong", |heard| {
        heard.iter().any(|message| match message {
            DeviceMessage::Log(log) => log.level == Level::Error && log.text.contains("no space left"),
            _ => false,
        })
    });
    process.signal(Signal::SIGTERM);
    assert!(process.wait().1);
    let _process = Process::start(Role::Device, dir.path());
    server.until("the output", printed("Hello from one!"));
}

#[test]
fn several_devices_share_one_process() {
    let mut servers: Vec<Server> = (20..24).map(Server::of).collect();
    let dirs: Vec<_> = servers.iter().map(|_| tempfile::tempdir().unwrap()).collect();
    let mut swarm = Swarm::new().unwrap();
    for (server, dir) in servers.iter_mut().zip(&dirs) {
        server.provision(dir.path());
        server.assign(&[built("blinker", &BLINKER.replace("TEXT", "one!"))]);
        swarm.add(dir.path()).unwrap();
    }
    let stopper = swarm.stopper();
    let swarm = std::thread::spawn(move || swarm.run());
    let deadline = Instant::now() + PATIENCE;
    while !servers.iter().all(|server| printed("Hello from one!")(&server.plan.heard)) {
        assert!(Instant::now() < deadline, "not all of them run");
        servers.iter_mut().for_each(Server::serve);
        std::thread::sleep(Duration::from_millis(1));
    }
    stopper.stop();
    swarm.join().unwrap().unwrap();
}
