//! Work on a stack of its own.
#![allow(
    unsafe_code,
    reason = "the stack and the work on it are referred to by address; see `cortex_m` for the switch itself"
)]

use alloc::boxed::Box;
use core::fmt;
use core::ptr::{self, NonNull};

use wasmbed_runtime::{Charge, Task};

use crate::cortex_m::{self, Context, End, fault_registers, finish, remove_guard, switch_to, waits_until};
use crate::stack::{Layout, StackTooSmall, paint, untouched};

/// What runs on a stack of its own.
///
/// # Safety
///
/// Whenever turns are allowed in [`Work::run`] ([`crate::with_turns`]), it may be given up: its stack is not continued and its frames are never dropped, while
/// `self` lives on. So at these moments no frame owns anything or is referred to by anything but other frames, and `self` is in a state
/// in which it can be used and dropped.
pub unsafe trait Work: Send {
    /// Does the work. Turns are held to begin with.
    fn run(&mut self);
}

// SAFETY: `Task` is made for this: turns are allowed only around three calls into WAMR, at which no frame owns anything (`wamr.rs`, "Giving
// up"); what WAMR's frames refer to lies in the arena, which nobody else refers to.
unsafe impl Work for Task {
    fn run(&mut self) {
        Task::run(self);
    }
}

/// How a slice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceEnd {
    /// By its length or by [`crate::end_slice`]: there is more to do.
    Preempted,
    /// By the application, which waits.
    Waiting {
        /// Until then, in ticks of the clock; `None`: until it is resumed.
        until: Option<u64>,
    },
    /// It has ended, now or before.
    Finished,
}

/// Why work on a stack of its own was ended by the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its stack was used up.
    StackOverflow,
    /// It did what the core refuses.
    Other {
        /// The register CFSR.
        status: u32,
        /// The address, if `status` says that it is one.
        address: u32,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StackOverflow => write!(f, "used its native stack up"),
            Self::Other { status, address } => {
                write!(f, "fault of the processor: CFSR {status:#010x}, address {address:#010x}")
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Ready,
    Waiting,
    Ended,
}

/// Work, its stack, and how far it is.
pub struct Coroutine<W: Work> {
    /// From `Box::into_raw`: the frames on the stack refer to it.
    work: NonNull<W>,
    context: Box<Context>,
    layout: Layout,
    state: State,
    fault: Option<Fault>,
    charge: Charge,
    /// What lends the stack its memory; kept to be dropped last.
    _lender: Box<dyn Send>,
}

// SAFETY: the work is `Send`, and so is the lender; the stack and the context are nobody else's.
unsafe impl<W: Work> Send for Coroutine<W> {}

impl<W: Work> fmt::Debug for Coroutine<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coroutine").field("state", &self.state).field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl<W: Work> Coroutine<W> {
    /// Work that begins with the first [`Coroutine::resume`]. `memory` is its stack and the guard below it, and is given back when
    /// the coroutine is dropped.
    ///
    /// # Errors
    /// The memory is too small.
    pub fn new<M: AsMut<[u8]> + Send + 'static>(memory: M, work: W) -> Result<Self, StackTooSmall> {
        let mut lender = Box::new(memory);
        let range = (*lender).as_mut().as_mut_ptr_range();
        let layout = Layout::of(range.start.expose_provenance()..range.end.expose_provenance())?;
        let words = (layout.stack.end - layout.guard.start) / size_of::<u32>();
        // SAFETY: inside of the memory, aligned, and nobody else's while the lender is neither moved out of its box nor used.
        paint(unsafe { core::slice::from_raw_parts_mut(ptr::with_exposed_provenance_mut(layout.guard.start), words) });
        let work = Box::into_raw(Box::new(work));
        // SAFETY: the stack is nobody else's, as above.
        let context =
            unsafe { Context::new(layout.stack.start, layout.stack.end, begin::<W>, work.expose_provenance()) };
        // SAFETY: from a box.
        let work = unsafe { NonNull::new_unchecked(work) };
        Ok(Self {
            work,
            context: Box::new(context),
            layout,
            state: State::New,
            fault: None,
            charge: Charge::NOBODY,
            _lender: lender,
        })
    }

    /// Runs the work for at most so many cycles of the core, 16,777,215 at most. To be called on the device's stack, in thread
    /// mode, with interrupts enabled.
    pub fn resume(&mut self, cycles: u32) -> SliceEnd {
        if self.state == State::Ended {
            return SliceEnd::Finished;
        }
        let is_held = self.state != State::Ready;
        // SAFETY: the context and its stack are ours and live; it is not ended, so it came back to go on.
        let end = unsafe { switch_to(&raw mut *self.context, self.layout.guard.start, is_held, cycles) };
        if !cortex_m::has_guard() {
            self.look_at_guard();
        }
        match end {
            _ if self.fault.is_some() => self.end(),
            End::Preempted => {
                self.state = State::Ready;
                SliceEnd::Preempted
            }
            End::Suspended => {
                self.state = State::Waiting;
                SliceEnd::Waiting { until: waits_until() }
            }
            End::Finished => self.end(),
            End::Overflowed => {
                self.fault = Some(Fault::StackOverflow);
                self.end()
            }
            End::Faulted => {
                self.fault = Some(self.fault());
                self.end()
            }
        }
    }

    /// As [`Coroutine::resume`], with what WAMR allocates charged to whom it was charged when this work was last interrupted.
    pub(crate) fn resume_charged(&mut self, cycles: u32) -> SliceEnd {
        // SAFETY: in pairs around the time the work has the processor; what is taken at the end belongs to its stack, and is put back
        // only while that is continued.
        unsafe { self.charge.exchange() };
        let end = self.resume(cycles);
        // SAFETY: as above.
        unsafe { self.charge.exchange() };
        end
    }

    fn end(&mut self) -> SliceEnd {
        self.state = State::Ended;
        SliceEnd::Finished
    }

    /// What the fault was: an access to the guard, or a push of the core's that did not succeed, is an overflow.
    fn fault(&self) -> Fault {
        const MEMORY_STACKING: u32 = 1 << 4;
        const MEMORY_LAZY_STACKING: u32 = 1 << 5;
        const MEMORY_ADDRESS_VALID: u32 = 1 << 7;
        let registers = fault_registers();
        let in_guard =
            registers.status & MEMORY_ADDRESS_VALID != 0 && self.layout.guard.contains(&(registers.address as usize));
        if in_guard || registers.status & (MEMORY_STACKING | MEMORY_LAZY_STACKING) != 0 {
            Fault::StackOverflow
        } else {
            Fault::Other { status: registers.status, address: registers.address }
        }
    }

    /// Without an MPU: the guard is a canary. What reached its top has used the stack up; what reached its bottom may have gone on
    /// below, into memory of others.
    fn look_at_guard(&mut self) {
        let words = crate::stack::GUARD_BYTES / size_of::<u32>();
        let untouched = untouched(self.words_from(self.layout.guard.start).take(words));
        assert!(untouched > 0, "the stack of an application ran over into memory of the device");
        if untouched < words {
            self.fault = Some(Fault::StackOverflow);
        }
    }

    fn words_from(&self, start: usize) -> impl Iterator<Item = u32> {
        let end = self.layout.stack.end;
        (start..end).step_by(size_of::<u32>()).map(|address| {
            // SAFETY: aligned, and inside of the stack, which nobody writes now.
            unsafe { ptr::with_exposed_provenance::<u32>(address).read_volatile() }
        })
    }

    /// Whether it has ended.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Whether it waits.
    pub fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }

    /// Why the processor ended it, if it did.
    pub fn ended_by(&self) -> Option<Fault> {
        self.fault
    }

    /// Ends it where it is; see [`Work`]. Work that waits may hold things in its frames: it is better resumed and told to end.
    pub fn give_up(&mut self) {
        self.state = State::Ended;
    }

    /// The work, once it has ended.
    pub fn work(&mut self) -> Option<&mut W> {
        if self.state != State::Ended {
            return None;
        }
        // SAFETY: no frame refers to it any more: they have returned, or are given up, as `Work` allows.
        Some(unsafe { self.work.as_mut() })
    }

    /// The most bytes of its stack that were ever in use.
    pub fn stack_used(&self) -> usize {
        let words = untouched(self.words_from(self.layout.stack.start));
        self.layout.stack.len() - words * size_of::<u32>()
    }

    /// The lowest address of its stack, above the guard.
    pub fn stack_start(&self) -> usize {
        self.layout.stack.start
    }
}

impl<W: Work> Drop for Coroutine<W> {
    fn drop(&mut self) {
        remove_guard();
        // SAFETY: from a box, once; its frames are given up, as `Work` allows.
        drop(unsafe { Box::from_raw(self.work.as_ptr()) });
    }
}

/// Where a stack begins.
extern "C" fn begin<W: Work>(work: usize) -> ! {
    // SAFETY: the coroutine keeps it, and does not touch it before the work has ended.
    unsafe { (*ptr::with_exposed_provenance_mut::<W>(work)).run() };
    finish()
}
