//! Applications on native stacks of their own, run in slices that PendSV ends, on Cortex-M.
//!
//! A [`Slot`] holds one application: its stack, its arena, its account. [`Slot::resume`] lends it the processor for at most a slice,
//! and says how the slice ended. The caller is the device's main loop, or a task of its executor. Whoever wakes the executor meanwhile
//! calls [`end_slice`], from an interrupt too, and the slice is over at once, so what the device itself has to do never waits for an
//! application, however many there are.
//!
//! A slice ends in the middle of whatever the interpreter does, so an endless loop is no trouble. It does not end in a host function,
//! nor anywhere else that is held ([`hold`]): those are short, or wait by [`suspend`].
//!
//! # What protects the device
//!
//! The interpreter runs with all the rights of the device: **the sandbox is the interpreter**, which checks every access and every
//! call of an application, and the host functions, which check every argument. Privileged mode is not left, and the MPU is used for
//! one thing: the guard below the stack of the application that runs, so that a native stack which is too small ends the
//! application and not the device. A core without an MPU looks at a canary in that place, at the end of every slice.
//!
//! A fault (memory, bus, usage) while an application has the processor ends that application, unless it happened where turns are
//! held: then what the device shares with it may be half changed, and it is the device's fault (`HardFault`).
//!
//! # What the firmware does
//!
//! It calls [`start`] once, leaves `PendSV`, `SysTick`, `MemoryManagement`, `BusFault` and `UsageFault` to this crate (it defines these
//! symbols, as `cortex-m-rt` names them) and `HardFault` to itself, gives no interrupt the lowest priority, and calls
//! [`Slot::resume`] with interrupts enabled, in thread mode, from one stack.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    not(target_os = "none"),
    allow(dead_code, unused_imports, reason = "a host compiles the pure parts, to test them")
)]

extern crate alloc;

mod clock;
mod pace;
mod shared;
mod stack;

#[cfg(target_os = "none")]
mod coroutine;
#[cfg(target_os = "none")]
mod cortex_m;
#[cfg(target_os = "none")]
mod driver;
#[cfg(target_os = "none")]
mod slot;

pub use clock::Clock;
pub use stack::{GUARD_BYTES, StackTooSmall};

#[cfg(target_os = "none")]
pub use coroutine::{Coroutine, Fault, SliceEnd, Work};
#[cfg(target_os = "none")]
pub use cortex_m::{Hold, begin_pass, end_slice, has_guard, hold, is_in_application, start, suspend, with_turns};
#[cfg(target_os = "none")]
pub use slot::{Failed, Slot};
