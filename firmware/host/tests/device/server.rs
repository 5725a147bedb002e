//! A gateway over TCP that a device process connects to, and what it has the device run.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use wasmbed_protocol::message::Level;
use wasmbed_protocol::{DeviceMessage, SigningKey};

use crate::child::PATIENCE;
use crate::fleet::{Built, Fleet, key};
use crate::gateway::{Gateway, Plan};

/// Prints its first argument, lights the LED, publishes, and sleeps for ever.
pub(crate) const BLINKER: &str = r#"(module
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

/// A Release of an application, with this text as its module.
pub(crate) fn built(application: &str, text: &str) -> Built {
    let mut built = Built::new(application, "");
    built.module = wat::parse_str(text).unwrap();
    built.release.artifacts[0].digest = wasmbed_protocol::ModuleDigest::of(&built.module);
    built.release.artifacts[0].size = built.module.len() as u32;
    built.release.limits.memory = 256 * 1024;
    built.release.capabilities.gpio = vec!["led0".into()];
    built
}

/// A gateway that one device connects to.
pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    device: SigningKey,
    pub(crate) plan: Plan,
    pub(crate) current: Option<(TcpStream, Gateway)>,
}

impl Server {
    pub(crate) fn new() -> Server {
        Server::of(9)
    }

    /// For the device with that key.
    pub(crate) fn of(number: u8) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let device = key(number);
        let plan = Plan::new(Fleet::default(), device.public());
        Server { listener, device, plan, current: None }
    }

    pub(crate) fn provision(&self, dir: &Path) {
        let mut provisioning = self.plan.fleet.provisioning(&self.device);
        provisioning.gateways = vec![format!("localhost:{}", self.listener.local_addr().unwrap().port())];
        fs::write(dir.join("provisioning.cbor"), provisioning.encode().unwrap()).unwrap();
    }

    pub(crate) fn assign(&mut self, built: &[Built]) {
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
    pub(crate) fn until(&mut self, what: &str, heard: impl Fn(&[DeviceMessage]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !heard(&self.plan.heard) {
            assert!(Instant::now() < deadline, "not heard in {PATIENCE:?}: {what}\n{:?}", self.plan.heard);
            self.serve();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn serve(&mut self) {
        if let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
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

/// Whether an application printed this.
pub(crate) fn printed(text: &'static str) -> impl Fn(&[DeviceMessage]) -> bool {
    move |heard| {
        heard
            .iter()
            .any(|message| matches!(message, DeviceMessage::Log(log) if log.level == Level::Stdout && log.text == text))
    }
}

/// How often a device said Hello.
pub(crate) fn hellos(heard: &[DeviceMessage]) -> usize {
    heard.iter().filter(|message| matches!(message, DeviceMessage::Hello(_))).count()
}
