//! Applications in slots, and what they say.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use wasmbed_runtime::{Application, Budget, Errno, Grants, Host, Limits, Line};
use wasmbed_slices::{Clock, SliceEnd, Slot};

use crate::machine::{CLOCK, INSTRUCTIONS_PER_TICK, TICKS_PER_SECOND, Timer};

/// A hundred thousand instructions, in cycles of SysTick.
pub(crate) const SLICE: u32 = (100_000 / INSTRUCTIONS_PER_TICK) as u32;
pub(crate) const STACK: usize = 4096;
/// What an arena has beyond the limit of its application.
const ARENA_SPARE: usize = 4096;

/// What an application said.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) results: Vec<u32>,
    pub(crate) lines: Vec<String>,
}

#[derive(Clone, Default)]
pub(crate) struct Ears(Rc<RefCell<Said>>);

#[allow(unsafe_code, reason = "one core, and an application's host functions are held")]
// SAFETY: the application's side borrows it in host functions only, which are held: never half done while the device's side looks.
unsafe impl Send for Ears {}

impl Ears {
    pub(crate) fn results(&self) -> Vec<u32> {
        self.0.borrow().results.clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.borrow().lines.clone()
    }
}

struct Bench {
    ears: Ears,
    sensor: u32,
}

/// What the sensor reads at the n-th time.
#[inline(never)]
pub(crate) fn sense(n: &mut u32) -> u32 {
    *n = n.wrapping_add(1);
    n.wrapping_mul(37) & 0xFFF
}

impl Host for Bench {
    fn log(&mut self, line: Line<'_>) {
        self.ears.0.borrow_mut().lines.push(line.text.to_owned());
    }

    fn publish(&mut self, _: &str, payload: &[u8]) -> Result<(), Errno> {
        let value = payload.try_into().map(u32::from_le_bytes).map_err(|_| Errno::INVAL)?;
        self.ears.0.borrow_mut().results.push(value);
        Ok(())
    }

    fn uptime(&mut self) -> Duration {
        Duration::from_nanos(CLOCK.ticks() * INSTRUCTIONS_PER_TICK)
    }

    fn unix_time_ms(&mut self) -> Option<u64> {
        None
    }

    fn random(&mut self, _: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }

    fn adc_open(&mut self, _: &str) -> Result<u32, Errno> {
        Ok(0)
    }

    fn adc_read(&mut self, _: u32) -> Result<u32, Errno> {
        Ok(sense(&mut self.sensor))
    }
}

pub(crate) fn limits() -> Limits {
    Limits { memory: 128 * 1024, stack: 4096, ..Limits::default() }
}

/// A budget with an arena on the heap.
pub(crate) fn budget(limit: u64) -> Arc<Budget> {
    let arena = vec![0_u8; usize::try_from(limit).expect("it fits") + ARENA_SPARE].into_boxed_slice();
    Budget::in_arena(limit, arena).expect("the arena is large enough")
}

/// An application in a slot.
pub(crate) fn launch(module: &'static [u8], limits: Limits) -> (Slot<Timer>, Ears) {
    launch_on(module, limits, STACK)
}

/// An application in a slot with so much native stack.
pub(crate) fn launch_on(module: &'static [u8], limits: Limits, stack: usize) -> (Slot<Timer>, Ears) {
    let ears = Ears::default();
    let grants = Grants { publish: vec!["result".into()], adc: vec!["adc0".into()], ..Grants::default() };
    let application = Application { limits, grants, ..Application::new(module) };
    let budget = budget(limits.memory);
    let host = Box::new(Bench { ears: ears.clone(), sensor: 0 });
    let slot = Slot::new(&application, budget, host, vec![0_u8; stack].into_boxed_slice(), &CLOCK);
    (slot.expect("it has all it needs"), ears)
}

/// Runs it to its end.
pub(crate) fn finish(slot: &mut Slot<Timer>) {
    while turn(slot) != SliceEnd::Finished {}
}

/// A slice, or the wait for the next.
pub(crate) fn turn(slot: &mut Slot<Timer>) -> SliceEnd {
    let end = slot.resume(SLICE);
    if let SliceEnd::Waiting { until } = end {
        let until = until.expect("applications here wait for a time");
        assert!(until < CLOCK.ticks() + 100 * u64::from(TICKS_PER_SECOND), "it waits for ever");
        while CLOCK.ticks() < until {}
    }
    end
}
