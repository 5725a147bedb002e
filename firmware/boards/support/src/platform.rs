//! What one application reaches of its board. Called on the application's own stack, held: whatever has to wait makes way.

use alloc::borrow::ToOwned;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use embassy_sync::channel::TrySendError;
use embassy_time::Instant;
use wasmbed_agent::{ApplicationEvent, Instance, Level};
use wasmbed_runtime::{Errno, Host, Line, Origin, PinMode};

use crate::clock;
use crate::entropy;
use crate::pins::{self, Kind, Pin};
use crate::probe::{Probe, ProbeError, Probes};
use crate::sliced::EVENTS;

pub(crate) struct Platform {
    pub(crate) instance: Instance,
    /// Whether the application is to end.
    pub(crate) stopping: Arc<AtomicBool>,
    pub(crate) pins: &'static [Pin],
    pub(crate) probes: &'static Probes,
}

impl Platform {
    /// Tells the device loop; waits until it listens, for lines are lost by rate and nothing else.
    fn tell(&self, event: ApplicationEvent) {
        let mut event = (self.instance, event);
        while let Err(TrySendError::Full(unsent)) = EVENTS.try_send(event) {
            // What it says at last when it is given up, it says on the device's own stack, where nobody can wait.
            if self.stopping.load(Ordering::Relaxed) || !wasmbed_slices::is_in_application() {
                return;
            }
            wasmbed_slices::suspend(None);
            event = unsent;
        }
    }

    fn pin(&self, number: u32) -> Result<&'static Pin, Errno> {
        self.pins.get(number as usize).ok_or(Errno::BADF)
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
        Duration::from_micros(Instant::now().as_micros())
    }

    fn unix_time_ms(&mut self) -> Option<u64> {
        clock::unix_time_ms()
    }

    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Errno> {
        entropy::fill(bytes).map_err(|_| Errno::IO)
    }

    fn gpio_open(&mut self, name: &str, mode: PinMode) -> Result<u32, Errno> {
        pins::open(self.pins, name, mode)
    }

    fn gpio_write(&mut self, pin: u32, high: bool) -> Result<(), Errno> {
        match self.pin(pin)?.kind {
            Kind::Output { write, .. } => {
                write(high);
                Ok(())
            }
            _ => Err(Errno::NOTSUP),
        }
    }

    fn gpio_read(&mut self, pin: u32) -> Result<bool, Errno> {
        match self.pin(pin)?.kind {
            Kind::Output { read, .. } | Kind::Input(read) => Ok(read()),
            _ => Err(Errno::NOTSUP),
        }
    }

    fn adc_open(&mut self, name: &str) -> Result<u32, Errno> {
        pins::open_input(self.pins, name)
    }

    fn adc_read(&mut self, input: u32) -> Result<u32, Errno> {
        match self.pin(input)?.kind {
            Kind::Analogue(read) => Ok(read()),
            Kind::Simulated(source) => Ok(source(self.uptime())),
            _ => Err(Errno::BADF),
        }
    }

    fn net_probe(&mut self, host: &str, port: u16, timeout: Duration) -> Result<Duration, Errno> {
        let timeout = embassy_time::Duration::from_micros(u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX));
        let probe = Probe { host: host.to_owned(), port, timeout };
        if !self.probes.ask(self.instance, probe) {
            return Err(Errno::AGAIN);
        }
        loop {
            if let Some(answer) = self.probes.answer(self.instance) {
                return answer.map(|took| Duration::from_micros(took.as_micros())).map_err(|error| match error {
                    ProbeError::NoNetwork => Errno::NETUNREACH,
                    ProbeError::Unknown => Errno::HOSTUNREACH,
                    ProbeError::Refused => Errno::CONNREFUSED,
                    ProbeError::TimedOut => Errno::TIMEDOUT,
                });
            }
            if self.stopping.load(Ordering::Relaxed) {
                self.probes.forget(self.instance);
                return Err(Errno::TIMEDOUT);
            }
            wasmbed_slices::suspend(None);
        }
    }
}
