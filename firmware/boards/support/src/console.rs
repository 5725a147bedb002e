//! The device's own log: lines with a time and a level, for whoever reads its UART.
//!
//! Writing never waits: lines go into a ring, and [`Console::write`] of the board empties it as fast as the UART takes
//! them. A line that does not fit is dropped whole, and the next one that fits says how many were.

use core::cell::RefCell;
use core::fmt::Write;

use critical_section::Mutex;
use embassy_time::Instant;
use wasmbed_agent::Level;

/// Bytes that wait for the UART.
const RING: usize = 2_048;

/// The end of the log on the board.
pub trait Console {
    /// Sends one byte if the UART takes it now; whether it did. If not, an interrupt tells when it takes the next.
    fn write(&mut self, byte: u8) -> bool;
}

struct Ring {
    bytes: [u8; RING],
    first: usize,
    length: usize,
    dropped: u32,
}

static LINES: Mutex<RefCell<Ring>> =
    Mutex::new(RefCell::new(Ring { bytes: [0; RING], first: 0, length: 0, dropped: 0 }));

impl Ring {
    fn push(&mut self, byte: u8) -> bool {
        if self.length == RING {
            return false;
        }
        self.bytes[(self.first + self.length) % RING] = byte;
        self.length += 1;
        true
    }

    /// Takes in a line whole, or not at all.
    fn line(&mut self, write: impl Fn(&mut Self) -> core::fmt::Result) {
        let before = self.length;
        let said = self.dropped;
        let told = said == 0 || writeln!(self, "({said} lines lost: the UART is too slow)\r").is_ok();
        if told && write(self).is_ok() {
            self.dropped = 0;
        } else {
            self.length = before;
            self.dropped = said.saturating_add(1);
        }
    }
}

impl Write for Ring {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.bytes().all(|byte| self.push(byte)).then_some(()).ok_or(core::fmt::Error)
    }
}

/// Writes a line: the device's own, or an application's.
pub fn line(level: Level, application: Option<&str>, text: &str) {
    let now = Instant::now().as_millis();
    let (seconds, milliseconds) = (now / 1000, now % 1000);
    let level = match level {
        Level::Error => "ERROR",
        Level::Warn => "WARN",
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Stdout => "OUT",
    };
    critical_section::with(|cs| {
        LINES.borrow_ref_mut(cs).line(|ring| match application {
            None => write!(ring, "{seconds}.{milliseconds:03} {level} {text}\r\n"),
            Some(application) => write!(ring, "{seconds}.{milliseconds:03} {level} {application}: {text}\r\n"),
        });
    });
}

/// Hands the UART what it takes now.
pub fn pump(console: &mut impl Console) {
    // A byte at a time in the critical section, so that no interrupt waits for a UART.
    while critical_section::with(|cs| {
        let mut ring = LINES.borrow_ref_mut(cs);
        let next = (ring.length > 0).then(|| ring.bytes[ring.first]);
        let taken = next.is_some_and(|byte| console.write(byte));
        if taken {
            ring.first = (ring.first + 1) % RING;
            ring.length -= 1;
        }
        taken
    }) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Ring {
        Ring { bytes: [0; RING], first: RING - 3, length: 0, dropped: 0 }
    }

    fn drain(ring: &mut Ring) -> String {
        let bytes = (0..ring.length).map(|at| ring.bytes[(ring.first + at) % RING]).collect();
        ring.length = 0;
        String::from_utf8(bytes).expect("whole lines")
    }

    #[test]
    fn a_line_that_does_not_fit_is_dropped_whole_and_counted() {
        let mut ring = ring();
        let long = "x".repeat(RING - 10);
        ring.line(|ring| ring.write_str(&long));
        ring.line(|ring| ring.write_str("this does not fit"));
        ring.line(|ring| ring.write_str("nor does this"));
        assert_eq!(drain(&mut ring), long);
        ring.line(|ring| ring.write_str("this does"));
        ring.line(|ring| ring.write_str(", and this"));
        assert_eq!(drain(&mut ring), "(2 lines lost: the UART is too slow)\r\nthis does, and this");
    }
}
