//! A platform that records what an application does, and modules to try it with.
#![allow(dead_code, unreachable_pub, reason = "every test file uses a part of it")]

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wasmbed_runtime::{Application, Errno, Host, Level, Line, Origin, Outcome, PinMode, Running, Stats, start};

/// Longer than anything here takes, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// What an application did.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Line(Level, Origin, String),
    Published(String, Vec<u8>),
    Wrote(u32, bool),
}

/// The platform's end of it.
pub struct Recorder {
    pub events: Sender<Event>,
    /// When its clock started; without it the clock stands, so that rates give exactly their bursts.
    pub started: Option<Instant>,
    pub pins: Arc<Mutex<Vec<(String, PinMode)>>>,
}

impl Recorder {
    pub fn new() -> (Box<Self>, Receiver<Event>) {
        let (events, received) = channel();
        let recorder = Self { events, started: Some(Instant::now()), pins: Arc::default() };
        (Box::new(recorder), received)
    }
}

impl Host for Recorder {
    fn log(&mut self, line: Line<'_>) {
        let _ = self.events.send(Event::Line(line.level, line.origin, line.text.to_owned()));
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), Errno> {
        let _ = self.events.send(Event::Published(topic.to_owned(), payload.to_vec()));
        Ok(())
    }

    fn uptime(&mut self) -> Duration {
        self.started.map_or(Duration::from_secs(1), |started| started.elapsed())
    }

    fn unix_time_ms(&mut self) -> Option<u64> {
        Some(1_700_000_000_123)
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        bytes.fill(0xA5);
        Ok(())
    }

    fn gpio_open(&mut self, name: &str, mode: PinMode) -> Result<u32, Errno> {
        if name == "broken" {
            panic!("the pin is on fire");
        }
        let mut pins = self.pins.lock().expect("no test panics with it");
        pins.push((name.to_owned(), mode));
        Ok(pins.len() as u32 + 99)
    }

    fn gpio_write(&mut self, pin: u32, high: bool) -> Result<(), Errno> {
        let _ = self.events.send(Event::Wrote(pin, high));
        Ok(())
    }

    fn gpio_read(&mut self, pin: u32) -> Result<bool, Errno> {
        Ok(pin == 100)
    }

    fn adc_open(&mut self, _: &str) -> Result<u32, Errno> {
        Ok(7)
    }

    fn adc_read(&mut self, input: u32) -> Result<u32, Errno> {
        Ok(input * 100 + 1)
    }

    fn net_probe(&mut self, host: &str, port: u16, timeout: Duration) -> Result<Duration, Errno> {
        assert!(timeout <= wasmbed_runtime::PROBE_TIMEOUT);
        match (host, port) {
            ("near", 80) => Ok(Duration::from_micros(1234)),
            _ => Err(Errno::TIMEDOUT),
        }
    }
}

/// Starts an application against a recorder.
pub fn launch(application: &Application<'_>) -> (Running, Receiver<Event>) {
    let (host, events) = Recorder::new();
    let running = start(application, host, |_, _| ()).expect("the module starts");
    (running, events)
}

/// Runs an application to its end.
pub fn run(application: &Application<'_>) -> (Outcome, Stats, Vec<Event>) {
    let (running, events) = launch(application);
    let (outcome, stats) = end(running);
    (outcome, stats, events.try_iter().collect())
}

/// Runs an application to its end while the platform's clock stands.
pub fn run_in_no_time(application: &Application<'_>) -> (Outcome, Stats, Vec<Event>) {
    let (mut host, events) = Recorder::new();
    host.started = None;
    let (outcome, stats) = end(start(application, host, |_, _| ()).expect("its limits are in range"));
    (outcome, stats, events.try_iter().collect())
}

/// Waits until an application has ended. One that does not is left alone: dropping it would wait for ever.
pub fn end(running: Running) -> (Outcome, Stats) {
    let deadline = Instant::now() + PATIENCE;
    while !running.is_ended() {
        if Instant::now() >= deadline {
            let stats = running.stats();
            std::mem::forget(running);
            panic!("the application does not end: {stats:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    running.wait()
}

/// Waits until an application has used so much CPU time.
pub fn uses(running: &Running, cpu: Duration) {
    let deadline = Instant::now() + PATIENCE;
    while running.stats().cpu < cpu {
        assert!(!running.is_ended(), "it ended: {:?}", running.outcome());
        assert!(Instant::now() < deadline, "it does not use {cpu:?} of CPU: {:?}", running.stats());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What comes next.
pub fn next<T>(events: &Receiver<T>) -> T {
    events.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("nothing comes: {error}"))
}

/// Whether nothing comes any more, as the other end is gone.
pub fn is_closed<T>(events: &Receiver<T>) -> bool {
    matches!(events.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected))
}

/// The text lines among events.
pub fn lines(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Line(_, _, text) => Some(text.as_str()),
            Event::Published(..) | Event::Wrote(..) => None,
        })
        .collect()
}

/// A module from text.
pub fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the test's module is valid")
}

/// A module whose `_start` has this body, with one page of memory, every SDK function imported by its name, and `$say`, which
/// logs an `i64` in decimal.
pub fn program(body: &str) -> Vec<u8> {
    wasm(&format!(
        r#"(module
        (import "wasmbed" "log" (func $log (param i32 i32 i32)))
        (import "wasmbed" "uptime_ms" (func $uptime_ms (result i64)))
        (import "wasmbed" "time_ms" (func $time_ms (result i64)))
        (import "wasmbed" "sleep_ms" (func $sleep_ms (param i32)))
        (import "wasmbed" "publish" (func $publish (param i32 i32 i32 i32) (result i32)))
        (import "wasmbed" "config" (func $config (param i32 i32 i32 i32) (result i32)))
        (import "wasmbed" "arg" (func $arg (param i32 i32 i32) (result i32)))
        (import "wasmbed" "gpio_open" (func $gpio_open (param i32 i32 i32) (result i32)))
        (import "wasmbed" "gpio_write" (func $gpio_write (param i32 i32) (result i32)))
        (import "wasmbed" "gpio_read" (func $gpio_read (param i32) (result i32)))
        (import "wasmbed" "adc_open" (func $adc_open (param i32 i32) (result i32)))
        (import "wasmbed" "adc_read" (func $adc_read (param i32) (result i32)))
        (import "wasmbed" "net_probe" (func $net_probe (param i32 i32 i32 i32) (result i64)))
        (import "wasmbed" "random" (func $random (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "hello\n")
        (data (i32.const 16) "sensors/a")
        (data (i32.const 32) "led0")
        (data (i32.const 40) "broken")
        (data (i32.const 48) "near")
        (data (i32.const 64) "key")
        (func $say (param $n i64)
            (local $at i32) (local $negative i32)
            (local.set $at (i32.const 1000))
            (if (i64.lt_s (local.get $n) (i64.const 0))
                (then (local.set $negative (i32.const 1))
                      (local.set $n (i64.sub (i64.const 0) (local.get $n)))))
            (loop $digits
                (local.set $at (i32.sub (local.get $at) (i32.const 1)))
                (i32.store8 (local.get $at)
                    (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $n) (i64.const 10)))))
                (local.set $n (i64.div_u (local.get $n) (i64.const 10)))
                (br_if $digits (i64.ne (local.get $n) (i64.const 0))))
            (if (local.get $negative)
                (then (local.set $at (i32.sub (local.get $at) (i32.const 1)))
                      (i32.store8 (local.get $at) (i32.const 45))))
            (call $log (i32.const 3) (local.get $at) (i32.sub (i32.const 1000) (local.get $at))))
        (func $say32 (param $n i32) (call $say (i64.extend_i32_s (local.get $n))))
        (func (export "_start") {body}))"#
    ))
}

/// A platform that does nothing but say when the program starts.
pub struct Announcer(pub Sender<()>);

impl Host for Announcer {
    fn started(&mut self) {
        let _ = self.0.send(());
    }

    fn log(&mut self, _: Line<'_>) {}

    fn publish(&mut self, _: &str, _: &[u8]) -> Result<(), Errno> {
        Ok(())
    }

    fn uptime(&mut self) -> Duration {
        Duration::from_secs(1)
    }

    fn unix_time_ms(&mut self) -> Option<u64> {
        None
    }

    fn random(&mut self, _: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }
}
