//! A device process, a gateway over TCP, WebAssembly that really runs.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use wasmbed_device::Swarm;
use wasmbed_protocol::message::{Level, Phase};
use wasmbed_protocol::{DeviceMessage, SigningKey};

use crate::child::{Process, Role};
use crate::fleet::{Built, Fleet, key};
use crate::gateway::{Gateway, Plan};

/// Prints its first argument, lights the LED, publishes, and sleeps for ever.
const BLINKER: &str = r#"(module
    (import "wasmbed" "log" (func $log (param i32 i32 i32)))
    (import "wasmbed" "sleep_ms" (func $sleep (param i32)))
    (import "wasmbed" "gpio_open" (func $gpio_open (param i32 i32 i32) (result i32)))
    (import "wasmbed" "gpio_write" (func $gpio_write (param i32 i32) (result i32)))
    (import "wasmbed" "publish" (func $publish (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "Hello from TEXT\n")
    (data (i32.const 32) "led0")
    (data (i32.const 40) "t/x")
    (data (i32.const 48) "\18\2a")
    (func (export "_start")
        (drop (call $gpio_write (call $gpio_open (i32.const 32) (i32.const 4) (i32.const 1)) (i32.const 1)))
        (drop (call $publish (i32.const 40) (i32.const 3) (i32.const 48) (i32.const 2)))
        (call $log (i32.const 0) (i32.const 0) (i32.const 16))
        (loop $for_ever (call $sleep (i32.const 1000)) (br $for_ever))))"#;

const ENDLESS: &str = r#"(module (memory (export "memory") 1) (func (export "_start") (loop $l (br $l))))"#;

fn built(application: &str, text: &str) -> Built {
    let mut built = Built::new(application, "");
    built.module = wat::parse_str(text).unwrap();
    built.release.artifacts[0].digest = wasmbed_protocol::ModuleDigest::of(&built.module);
    built.release.artifacts[0].size = built.module.len() as u32;
    built.release.limits.memory = 256 * 1024;
    built.release.capabilities.gpio = vec!["led0".into()];
    built
}

/// A gateway that one device connects to.
struct Server {
    listener: TcpListener,
    device: SigningKey,
    plan: Plan,
    current: Option<(TcpStream, Gateway)>,
}

impl Server {
    fn new() -> Server {
        Server::of(9)
    }

    /// For the device with that key.
    fn of(number: u8) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let device = key(number);
        let plan = Plan::new(Fleet::default(), device.public());
        Server { listener, device, plan, current: None }
    }

    fn provision(&self, dir: &Path) {
        let mut provisioning = self.plan.fleet.provisioning(&self.device);
        provisioning.gateways = vec![format!("localhost:{}", self.listener.local_addr().unwrap().port())];
        fs::write(dir.join("provisioning.cbor"), provisioning.encode().unwrap()).unwrap();
    }

    fn assign(&mut self, built: &[Built]) {
        for built in built {
            self.plan.publish(built);
        }
        self.plan.entries = built.iter().map(Built::entry).collect();
        if let Some((_, gateway)) = &mut self.current
            && let Some(nonce) = gateway.nonce
        {
            for message in self.plan.assignment(nonce) {
                gateway.say(&message);
            }
        }
    }

    /// Serves until something was heard.
    fn until(&mut self, what: &str, heard: impl Fn(&[DeviceMessage]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !heard(&self.plan.heard) {
            assert!(Instant::now() < deadline, "not heard in 60 s: {what}\n{:?}", self.plan.heard);
            self.serve();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn serve(&mut self) {
        if let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true).unwrap();
            self.current = Some((stream, Gateway::new(&self.plan.fleet)));
        }
        let Some((stream, gateway)) = &mut self.current else { return };
        let mut bytes = [0; 4096];
        match stream.read(&mut bytes) {
            Ok(0) => {
                self.current = None;
                return;
            }
            Ok(length) => gateway.receive(&bytes[..length], &mut self.plan),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => {
                self.current = None;
                return;
            }
        }
        let out = gateway.output();
        stream.set_nonblocking(false).unwrap();
        let sent = stream.write_all(&out);
        stream.set_nonblocking(true).unwrap();
        if sent.is_err() {
            self.current = None;
        }
    }
}

fn printed(text: &'static str) -> impl Fn(&[DeviceMessage]) -> bool {
    move |heard| {
        heard
            .iter()
            .any(|message| matches!(message, DeviceMessage::Log(log) if log.level == Level::Stdout && log.text == text))
    }
}

fn hellos(heard: &[DeviceMessage]) -> usize {
    heard.iter().filter(|message| matches!(message, DeviceMessage::Hello(_))).count()
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
    // A few megabytes, most of it the program's text (and this one is not optimised and holds a test's gateway).
    let (all, own) = (process.memory("VmRSS"), process.memory("RssAnon"));
    println!("memory of a device with one application: {} KiB, {} KiB of it its own", all / 1024, own / 1024);
    assert!(all < 16 * 1024 * 1024 && own < 4 * 1024 * 1024, "{all} {own}");
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
    server.assign(&[second, endless]);
    server.until("the second output", printed("Hello from two!"));

    // A revert fetches nothing either.
    let fetched = server.plan.fetched;
    server.plan.heard.clear();
    server.assign(&[first]);
    server.until("the first output again", printed("Hello from one!"));
    assert_eq!(server.plan.fetched, fetched);

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
    server.listener.set_nonblocking(false).unwrap();
    for _ in 0..2 {
        let (mut stream, _) = server.listener.accept().unwrap();
        let garbage = [0x5A; 64 * 1024];
        // Until the device hangs up.
        while stream.write_all(&garbage).is_ok() {}
    }
    server.listener.set_nonblocking(true).unwrap();
    server.until("a Hello after all", |heard| hellos(heard) == 1);
    assert!(process.memory("VmRSS") < 32 * 1024 * 1024);
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
    let deadline = Instant::now() + Duration::from_secs(60);
    while !servers.iter().all(|server| printed("Hello from one!")(&server.plan.heard)) {
        assert!(Instant::now() < deadline, "not all of them run");
        servers.iter_mut().for_each(Server::serve);
        std::thread::sleep(Duration::from_millis(1));
    }
    stopper.stop();
    swarm.join().unwrap().unwrap();
}
