//! The parts of an MPS2 machine that the bench uses: two timers, and semihosting.
#![allow(unsafe_code, reason = "registers and semihosting")]

use alloc::ffi::CString;
use alloc::string::String;
use core::arch::asm;
use core::panic::PanicInfo;
use core::ptr::with_exposed_provenance_mut;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m_rt::{ExceptionFrame, exception};
use wasmbed_slices::Clock;

const TIMER0: usize = 0x4000_0000;
const TIMER0_IRQ: i16 = 8;
const TIMER1: usize = 0x4000_1000;
const CONTROL: usize = 0x0;
const VALUE: usize = 0x4;
const RELOAD: usize = 0x8;
const INTERRUPT_CLEAR: usize = 0xC;
const NVIC_ENABLE: usize = 0xE000_E100;

/// The timers count at 25 MHz, and `-icount shift=0` makes an instruction a nanosecond.
pub(crate) const INSTRUCTIONS_PER_TICK: u64 = 40;
pub(crate) const TICKS_PER_SECOND: u32 = 25_000_000;

const WRITE0: usize = 0x04;
const EXIT: usize = 0x18;
const APPLICATION_EXIT: usize = 0x20026;
const RUN_TIME_ERROR: usize = 0x20023;

fn write(register: usize, value: u32) {
    // SAFETY: a register of the timers above or of the interrupt controller.
    unsafe { with_exposed_provenance_mut::<u32>(register).write_volatile(value) };
}

fn read(register: usize) -> u32 {
    // SAFETY: as above.
    unsafe { with_exposed_provenance_mut::<u32>(register).read_volatile() }
}

/// Starts the clock.
pub(crate) fn start() {
    write(TIMER1 + RELOAD, u32::MAX);
    write(TIMER1 + VALUE, u32::MAX);
    write(TIMER1 + CONTROL, 1);
    write(NVIC_ENABLE, 1 << TIMER0_IRQ);
}

/// TIMER1: three minutes of instructions until it wraps, which is longer than anything here runs.
pub(crate) struct Timer;

impl Clock for Timer {
    fn ticks(&self) -> u64 {
        u64::from(u32::MAX - read(TIMER1 + VALUE))
    }

    fn ticks_per_second(&self) -> u32 {
        TICKS_PER_SECOND
    }
}

pub(crate) static CLOCK: Timer = Timer;

static ALARMS: AtomicU32 = AtomicU32::new(0);
static ALARM_AT: AtomicU32 = AtomicU32::new(0);

/// Makes an interrupt that ends the slice, after so many ticks, once.
pub(crate) fn set_alarm(ticks: u32) {
    write(TIMER0 + CONTROL, 0);
    write(TIMER0 + RELOAD, ticks);
    write(TIMER0 + VALUE, ticks);
    write(TIMER0 + CONTROL, 0b1001);
}

/// How many alarms there were.
pub(crate) fn alarms() -> u32 {
    ALARMS.load(Ordering::Relaxed)
}

/// When the last alarm was.
pub(crate) fn alarm_at() -> u64 {
    ALARM_AT.load(Ordering::Relaxed).into()
}

/// # Safety
///
/// Called by the core.
#[exception]
unsafe fn DefaultHandler(interrupt: i16) {
    assert!(interrupt == TIMER0_IRQ, "an unexpected exception: {interrupt}");
    write(TIMER0 + CONTROL, 0);
    write(TIMER0 + INTERRUPT_CLEAR, 1);
    ALARM_AT.store(CLOCK.ticks() as u32, Ordering::Relaxed);
    ALARMS.fetch_add(1, Ordering::Relaxed);
    wasmbed_slices::end_slice();
}

/// # Safety
///
/// Called by the core.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    panic!("a fault of the device: {frame:?}, CFSR {:#010x}", read(0xE000_ED28));
}

fn semihosting(operation: usize, argument: usize) {
    // SAFETY: QEMU answers this breakpoint in r0 and changes nothing else.
    unsafe { asm!("bkpt 0xAB", inout("r0") operation => _, in("r1") argument, options(nostack)) };
}

/// Writes a line.
pub(crate) fn print(mut line: String) {
    line.push('\n');
    if let Ok(line) = CString::new(line) {
        semihosting(WRITE0, line.as_ptr().expose_provenance());
    }
}

/// Writes a line of words and values.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => { $crate::machine::print(alloc::format!($($words)*)) };
}

/// Ends QEMU.
pub(crate) fn exit(well: bool) -> ! {
    loop {
        semihosting(EXIT, if well { APPLICATION_EXIT } else { RUN_TIME_ERROR });
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    print(alloc::format!("failed {info}").replace('\n', " "));
    exit(false)
}
