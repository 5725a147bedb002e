use std::time::{Duration, Instant, SystemTime};

use rand_core::{OsRng, RngCore};
use wasmbed_agent::{ApplicationEvent, Instance, Level};
use wasmbed_runtime::{Errno, Host, Line, Origin, PinMode};

use crate::pins::{Input, OpenPin, Pins};
use crate::post::{Letter, Post};
use crate::probe;

/// What one application reaches of the host.
pub(crate) struct Platform {
    instance: Instance,
    post: Post,
    pins: Pins,
    open_pins: Vec<OpenPin>,
    open_inputs: Vec<Input>,
    started: Instant,
}

impl Platform {
    pub(crate) fn new(instance: Instance, post: Post, pins: Pins, started: Instant) -> Platform {
        Platform { instance, post, pins, open_pins: Vec::new(), open_inputs: Vec::new(), started }
    }

    fn tell(&self, event: ApplicationEvent) {
        self.post.send(Letter::Application { instance: self.instance, event });
    }
}

impl Host for Platform {
    fn started(&mut self) {
        self.tell(ApplicationEvent::Started);
    }

    fn log(&mut self, line: Line<'_>) {
        let level = match (line.origin, line.level) {
            (Origin::Output, _) => Level::Stdout,
            (_, wasmbed_runtime::Level::Error) => Level::Error,
            (_, wasmbed_runtime::Level::Warn) => Level::Warn,
            (_, wasmbed_runtime::Level::Info) => Level::Info,
            (_, wasmbed_runtime::Level::Debug) => Level::Debug,
        };
        self.tell(ApplicationEvent::Log { level, text: line.text.to_owned() });
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), Errno> {
        self.tell(ApplicationEvent::Published { topic: topic.to_owned(), payload: payload.to_vec() });
        Ok(())
    }

    fn uptime(&mut self) -> Duration {
        self.started.elapsed()
    }

    fn unix_time_ms(&mut self) -> Option<u64> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        u64::try_from(since.as_millis()).ok()
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        OsRng.try_fill_bytes(bytes).map_err(|_| Errno::IO)
    }

    fn gpio_open(&mut self, name: &str, mode: PinMode) -> Result<u32, Errno> {
        let pin = self.pins.open(name, mode)?;
        self.open_pins.push(pin);
        number(&self.open_pins)
    }

    fn gpio_write(&mut self, pin: u32, high: bool) -> Result<(), Errno> {
        self.open_pins.get_mut(pin as usize).ok_or(Errno::BADF)?.write(high)
    }

    fn gpio_read(&mut self, pin: u32) -> Result<bool, Errno> {
        self.open_pins.get_mut(pin as usize).ok_or(Errno::BADF)?.read()
    }

    fn adc_open(&mut self, name: &str) -> Result<u32, Errno> {
        let input = self.pins.open_input(name)?;
        self.open_inputs.push(input);
        number(&self.open_inputs)
    }

    fn adc_read(&mut self, input: u32) -> Result<u32, Errno> {
        let elapsed = self.started.elapsed();
        Ok(self.open_inputs.get(input as usize).ok_or(Errno::BADF)?.millivolts(elapsed))
    }

    fn net_probe(&mut self, host: &str, port: u16, timeout: Duration) -> Result<Duration, Errno> {
        probe::probe(host, port, timeout)
    }
}

/// The number of what was opened last.
fn number<T>(open: &[T]) -> Result<u32, Errno> {
    u32::try_from(open.len() - 1).map_err(|_| Errno::MFILE)
}
