//! When nothing can go on: what happened is written down where the next start finds it, said on the UART, and the board is
//! reset.

use core::cell::Cell;
use core::fmt::Write;

use critical_section::Mutex;
use wasmbed_agent::region::{self, HEADER, MAX_PANIC};

/// What a board can do without its tasks, its interrupts and its heap.
pub trait Emergency: Sync {
    /// Says it on the UART, and waits for that, but not for ever.
    fn print(&self, text: &str);

    /// Replaces the panic record in flash.
    fn keep(&self, record: &[u8]);

    /// Resets the board.
    fn reset(&self) -> !;
}

static BOARD: Mutex<Cell<Option<&'static dyn Emergency>>> = Mutex::new(Cell::new(None));

/// Names the board, once, at its start: what panics before is only a loop that the watchdog ends.
pub fn on(board: &'static dyn Emergency) {
    critical_section::with(|cs| BOARD.borrow(cs).set(Some(board)));
}

/// Text of a fixed size, cut where it is full.
struct Text {
    bytes: [u8; MAX_PANIC],
    length: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = text.floor_char_boundary(self.bytes.len() - self.length);
        self.bytes[self.length..][..room].copy_from_slice(&text.as_bytes()[..room]);
        self.length += room;
        Ok(())
    }
}

/// Ends this start of the device.
pub fn end(what: core::fmt::Arguments<'_>) -> ! {
    // A panic while this runs, or before the board is known: the board is taken once.
    let Some(board) = critical_section::with(|cs| BOARD.borrow(cs).take()) else {
        loop {
            core::hint::spin_loop();
        }
    };
    let mut text = Text { bytes: [0; MAX_PANIC], length: 0 };
    // Writing into `Text` does not fail.
    let _ = text.write_fmt(what);
    let text = core::str::from_utf8(&text.bytes[..text.length]).unwrap_or("(not text)");
    let mut buffer = [0; HEADER + MAX_PANIC];
    if let Some(record) = region::encode_panic(text, &mut buffer) {
        board.keep(record);
    }
    board.print("\r\nERROR ");
    board.print(text);
    board.print("\r\n");
    board.reset()
}

#[cfg(target_os = "none")]
mod handlers {
    use core::panic::PanicInfo;

    use cortex_m_rt::{ExceptionFrame, exception};

    #[panic_handler]
    fn panic(info: &PanicInfo<'_>) -> ! {
        cortex_m::interrupt::disable();
        match info.location() {
            Some(place) => super::end(format_args!("{} ({}:{})", info.message(), place.file(), place.line())),
            None => super::end(format_args!("{}", info.message())),
        }
    }

    // SAFETY (of both): the handlers never return and touch nothing but what `end` does.
    #[exception]
    #[allow(unsafe_code)]
    unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
        // SAFETY: CFSR is readable at any time and reading it changes nothing.
        let status = unsafe { (0xE000_ED28 as *const u32).read_volatile() };
        super::end(format_args!(
            "hard fault at {:#010x}, called from {:#010x} (CFSR {status:#010x})",
            frame.pc(),
            frame.lr()
        ))
    }

    #[exception]
    #[allow(unsafe_code)]
    unsafe fn NonMaskableInt() {
        super::end(format_args!("the watchdog expired: the device loop did not come round in time"))
    }
}
