//! The executor: tasks first, then one slice of an application, then sleep until an interrupt.
//!
//! embassy-executor's raw executor with a pender of our own, for a wake-up must end the slice that runs: the network's
//! latency then does not grow with the number of applications.

#![allow(unsafe_code)]

use alloc::sync::Arc;
use alloc::task::Wake;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;

use embassy_executor::Spawner;
use embassy_executor::raw::Executor;

use crate::sliced::{Left, Turns};
use crate::stack;

static WOKEN: AtomicBool = AtomicBool::new(false);

// The name is how embassy-executor finds it; nothing else has it.
#[unsafe(no_mangle)]
extern "Rust" fn __pender(_context: *mut ()) {
    wake();
}

fn wake() {
    WOKEN.store(true, Ordering::Release);
    wasmbed_slices::end_slice();
}

/// Wakes the executor for an application whose time has come.
struct Alarm;

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        wake();
    }
}

/// Runs tasks and applications for ever. `pass` is called on every pass, before anything sleeps: for work that no
/// interrupt announces.
pub fn run(spawn: impl FnOnce(Spawner), mut turns: Turns, mut pass: impl FnMut()) -> ! {
    stack::paint();
    let executor = Executor::new(core::ptr::null_mut());
    // SAFETY: this function never returns, so what is on its stack is there for good.
    let executor: &'static Executor = unsafe { core::mem::transmute(&executor) };
    spawn(executor.spawner());
    let alarm = Waker::from(Arc::new(Alarm));
    loop {
        WOKEN.store(false, Ordering::Release);
        wasmbed_slices::begin_pass();
        // SAFETY: this is the only call, and no task of this executor calls `run`.
        unsafe { executor.poll() };
        pass();
        match turns.turn() {
            Left::Busy => {}
            Left::Until(time) => {
                embassy_time_driver::schedule_wake(time.as_ticks(), &alarm);
                sleep();
            }
            Left::Nothing => sleep(),
        }
    }
}

/// Sleeps until an interrupt, unless something happened since the pass began.
fn sleep() {
    // With interrupts disabled one that comes after the look is held, and ends `wfi` all the same. (Never `wfe`: QEMU
    // burns a whole core on it.)
    cortex_m::interrupt::disable();
    if !WOKEN.load(Ordering::Acquire) {
        cortex_m::asm::dsb();
        cortex_m::asm::wfi();
    }
    // SAFETY: they were enabled before, and no critical section is open here.
    unsafe { cortex_m::interrupt::enable() };
}
